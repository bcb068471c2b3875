public import LockdModel

/// What a session is told that watches.
public enum WatchEvent: Hashable, Sendable {
    /// Why a wait ended without a lease.
    public enum UnqueueReason: String, CaseIterable, Hashable, Sendable {
        /// It ran out.
        case timeout
        /// By CANCEL, or with the session, or with what the lease was to be bound to.
        case cancelled
    }

    /// A request starts to wait.
    case queued(LockNames, by: Reply.Peer, position: Int, note: Text?)
    /// A wait has ended without a lease.
    case unqueued(LockNames, by: Reply.Peer, waited: Milliseconds, reason: UnqueueReason)
    /// A lease was granted.
    case granted(LockNames, to: Reply.Peer, token: FencingToken, waited: Milliseconds, note: Text?)
    /// A lease has ended.
    case over(LockNames, of: Reply.Peer, LeaseOutcome, token: FencingToken, held: Milliseconds, note: Text?)
    /// So many events were not told, because the session did not read.
    case missed(count: UInt64)
}
