public import LockdModel

/// Something that happened, as the lock table is told of it.
public enum Event: Hashable, Sendable {
    /// A session began. Its number was never used before.
    case sessionOpened(SessionID, Peer)
    /// A session asked for a lease.
    case acquireRequested(AcquireRequest)
    /// A session gives a lease back: the one it has on the name, if `token` is `nil` or is that lease's.
    case releaseRequested(RequestID, LockName, token: FencingToken?)
    /// A session moves the deadline of its lease: to `timeToLive` from now, or by the lease's own ttl.
    case renewRequested(RequestID, LockName, token: FencingToken?, timeToLive: Milliseconds?)
    /// A session no longer wants what it asked for under `tag`.
    case cancelRequested(RequestID, tag: Tag)
    /// A session takes somebody's lease away. `reason` is told to the holder.
    case revokeRequested(RequestID, LockName, token: FencingToken?, reason: Text?)
    /// Somebody is about to look at the name.
    case nameInspected(LockName)
    /// What the lease of this session is bound to has ended, or is to be bound to while it waits.
    case bindingEnded(SessionID)
    /// No more lines will come from the session than have come. From now on it cannot wait.
    case inputEnded(SessionID)
    /// The last line of the session was applied. It must have had ``inputEnded(_:)``; nothing more may be said of it, or is said to it.
    case sessionEnded(SessionID)
    /// The session has no connection any more, and may get another one: its leases stay, and its waits keep their places and are not granted.
    ///
    /// When it is the turn of one, it waits no longer than ``Limits/detachedGrace`` from then on, and is then cancelled. What is asked in the name of the
    /// session meanwhile is decided as always. Changes nothing if it has none already. Not for a session that has ended.
    case sessionDetached(SessionID)
    /// The session goes on, over another connection: it may send again what it has asked for under a tag, see ``LockTable``, and is granted what it waits
    /// for when it is its turn. It need not have been detached.
    case sessionAttached(SessionID)
    /// Nothing is granted before that instant: what could be has to wait, or is refused if it cannot. Takes nothing back of an earlier event that says later.
    case grantsSuspended(until: MonotonicInstant)
    /// The tokens up to and including this one may be granted: no other run of the daemon will ever grant them.
    case tokensReserved(through: FencingToken)
    /// So many bytes are buffered for all sessions of the user, outside of the table: what they have sent and what was not taken, what they were told and
    /// what was not written.
    case bytesBuffered(UserID, Int)
    /// Some of those who wait may be to be told how that goes, see ``LockTable/nextProgress``; at most ``Limits/reportsPerTurn`` are looked at.
    case progressDue
    /// It is later than it was. The one event that works off what is due, at most ``Limits/endingsPerTurn`` endings of it.
    case timePassed
}

/// Which request of which session.
public struct RequestID: Hashable, Sendable {
    /// The session that asked.
    public var session: SessionID
    /// The tag of the request, if it has one.
    public var tag: Tag?

    /// The request `tag` of `session`.
    public init(_ session: SessionID, tag: Tag? = nil) {
        self.session = session
        self.tag = tag
    }
}

/// A request for a lease.
public struct AcquireRequest: Hashable, Sendable {
    /// Which request this is.
    public var id: RequestID
    /// What it asks for.
    public var terms: AcquireTerms
    /// What the lease is to be bound to, if it is.
    ///
    /// ``Effect/unbind(_:)`` says when that need not be watched any longer.
    public var boundHolder: BoundHolder?

    /// The request `id` for what `terms` say.
    public init(_ id: RequestID, _ terms: AcquireTerms, boundHolder: BoundHolder? = nil) {
        self.id = id
        self.terms = terms
        self.boundHolder = boundHolder
    }
}
