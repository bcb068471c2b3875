public import LockdModel

/// What is to be done about an event.
///
/// All effects but one are things to say; perform them in order. No effect addresses a session after its ``Event/sessionEnded(_:)``. Those that address
/// a session without a connection are to be kept until it has one again.
public enum Effect: Hashable, Sendable {
    /// The session holds the lease from now on.
    ///
    /// If the lease before was lost, its ``sendLost(_:_:token:reason:)`` comes earlier, and MUST be on its way before this is.
    case sendGranted(RequestID, LockNames, token: FencingToken, timeToLive: Milliseconds?, after: Predecessor)
    /// The owner of the request holds the names already, with this lease, which may have more of them.
    case sendHeld(RequestID, LockNames, token: FencingToken, timeToLive: Milliseconds?)
    /// A lock is not free, and the request cannot wait; the rest speaks of the first such lock.
    case sendBusy(RequestID, LockNames, holder: Holding?, waiterCount: Int)
    /// The request would wait for ever, and was refused: for these reasons, at most ``Limits/deadlockEdges``.
    case sendDeadlock(RequestID, LockNames, [DeadlockEdge])
    /// The request waits; said again when that has changed, as often as it has asked for.
    indirect case sendQueued(RequestID, LockNames, Queueing)
    /// The wait ran out.
    case sendTimedOut(RequestID, LockNames, waited: Milliseconds, holder: Holding?, waiterCount: Int)
    /// The wait was ended by its own session, or because that had no connection when it was its turn.
    case sendCancelled(RequestID, LockNames, waited: Milliseconds)
    /// The lease was given back.
    case sendReleased(RequestID, LockNames, token: FencingToken)
    /// The lease's deadline is now `timeToLive` from now; `nil` if it has none.
    case sendRenewed(RequestID, LockNames, token: FencingToken, timeToLive: Milliseconds?)
    /// There is no such lease.
    case sendNotHeld(RequestID, LockName)
    /// The wait under `tag` was ended.
    case sendWaitCancelled(RequestID, tag: Tag)
    /// No request waits under `tag`.
    case sendNotWaiting(RequestID, tag: Tag)
    /// The lease was taken from its holder.
    case sendRevoked(RequestID, LockNames, token: FencingToken)
    /// The lease is `holder`'s and not for the session to revoke.
    case sendDenied(RequestID, LockNames, token: FencingToken, holder: UserID)
    /// The request was refused and changed nothing.
    case sendRefused(RequestID, Refusal)
    /// The session no longer holds the lease; if it is the session of a bound lease, whoever asked for that is to be told.
    case sendLost(SessionID, LockNames, token: FencingToken, reason: LossReason)
    /// Nothing is bound any more to what this session was to be bound to. Comes once for every request that had a ``BoundHolder``.
    case unbind(SessionID)
    /// This has happened, and ``LockTable/isObserved`` is set.
    indirect case observe(Observation)

    /// Whether somebody is told of a loss.
    public var isLoss: Bool {
        if case .sendLost = self { true } else { false }
    }
}

/// Who holds a lock, and for how long.
public struct Holding: Hashable, Sendable {
    /// The session that holds it.
    public var session: SessionID
    /// How long it has held it.
    public var held: Milliseconds
    /// What it says about itself.
    public var note: Text?
    /// How many hold the lock; the session is the first of them.
    public var holderCount: Int

    /// `session`, for `held`, alone unless said otherwise.
    public init(session: SessionID, held: Milliseconds, note: Text? = nil, holderCount: Int = 1) {
        self.session = session
        self.held = held
        self.note = note
        self.holderCount = holderCount
    }
}

/// Where a request stands that waits.
public struct Queueing: Hashable, Sendable {
    /// The place in the queue; 1 is granted next.
    public var position: Int
    /// The first name on which it cannot be granted yet, if it has several; the rest speaks of that one.
    public var obstacle: LockName?
    /// Who holds the name.
    public var holder: Holding?
    /// How many requests wait for the name.
    public var waiterCount: Int

    /// A place in a queue.
    public init(position: Int, obstacle: LockName? = nil, holder: Holding?, waiterCount: Int) {
        self.position = position
        self.obstacle = obstacle
        self.holder = holder
        self.waiterCount = waiterCount
    }
}

/// Why a request was refused.
public enum Refusal: Hashable, Sendable {
    /// Another request of the session waits under the same tag.
    case tagInUse(Tag)
    /// The owner holds a lease on the name that tolerates more holders.
    case stricterLease
    /// The owner holds a part of the names.
    case partlyHeld
    /// The session has as many leases and waits as it may have.
    case tooManyLeasesOfSession(limit: Int)
    /// The user has as many leases, and waits that can become some, as it may have.
    case tooManyLeasesOfUser(limit: Int)
    /// There are as many leases as there may be.
    case tooManyLeases(limit: Int)
    /// The session has as many waits as it may have.
    case tooManyWaitersOfSession(limit: Int)
    /// The user has as many waits as it may have.
    case tooManyWaitersOfUser(limit: Int)
    /// There are as many waits as there may be.
    case tooManyWaiters(limit: Int)
    /// There is no room for the request in what may be kept for the user.
    case tooManyBytesOfUser(limit: Int)
}

/// Why a lease was lost.
public enum LossReason: Hashable, Sendable {
    /// Its ttl ran out.
    case expired
    /// The session `by` revoked it.
    case revoked(by: SessionID, why: Text?)
}
