public import LockdModel

/// What a lease is bound to, so that it can be found again without its descriptor.
public struct BoundTarget: Hashable {
    /// What kind of thing it is.
    public let binding: Binding
    /// Whom a lease that is bound to it lists: the process of the pidfd; for a pipe, the process that sent it.
    public let peer: Peer
    /// Who has sent the descriptor.
    let user: UserID
    /// Which process it is, if it is one.
    let process: ProcessIdentity
    /// Which pipe it is, if it is one.
    let pipe: FileIdentity
}
