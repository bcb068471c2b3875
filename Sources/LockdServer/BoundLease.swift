import LockdModel

/// A lease that is bound to something else than the session that asked for it, or is to be; what is said about it that the table does not know.
struct BoundLease: Hashable {
    /// What it is bound to.
    let target: BoundTarget
    /// Who asked for it, and is told if it is lost.
    let asker: SessionID

    /// Whom it lists.
    var peer: Peer { target.peer }
    var binding: Binding { target.binding }
}
