import LockdModel

/// A lease that is bound to something else than the session that asked for it, or is to be; what is said about it that the table does not know.
struct BoundLease: Hashable {
    /// Whom it lists.
    let peer: Peer
    let binding: Binding
    /// Who asked for it, and is told if it is lost.
    let asker: SessionID
}
