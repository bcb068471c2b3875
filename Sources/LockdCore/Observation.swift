public import LockdModel

/// Something that happened to a claim, for those who watch.
public struct Observation: Hashable, Sendable {
    /// The names of the claim.
    public var names: LockNames
    /// Whose it is.
    public var session: SessionID
    /// The process behind that session.
    public var peer: Peer
    /// What happened.
    public var happening: Happening

    /// What can happen.
    public enum Happening: Hashable, Sendable {
        /// It started to wait, at this place in the queue; of several names, in that of the first on which it cannot be granted.
        case queued(position: Int, note: Text?)
        /// It waits no longer, and did not become a lease.
        case unqueued(waited: Milliseconds, UnqueueReason)
        /// It became a lease.
        case granted(token: FencingToken, waited: Milliseconds, note: Text?)
        /// It was a lease and has ended.
        case over(LeaseOutcome, token: FencingToken, held: Milliseconds, note: Text?)
    }

    /// Why a claim waits no longer.
    public enum UnqueueReason: Hashable, Sendable {
        /// The wait ran out.
        case timeout
        /// By its session, or with that, or with what it was to be bound to, or for want of a connection.
        case cancelled
    }
}
