public import LockdModel

/// Decides who holds each lock.
///
/// A lock table is a plain value. It performs no I/O, reads no clock, and logs nothing: the same table given the same events at the same
/// instants always returns the same effects. Work per event is bounded: an event ends what is due on the names it touches, and what else is due
/// is worked off by ``Event/timePassed``, at most ``Limits/endingsPerTurn`` endings at a time. Names that are part of a claim on several are
/// tied to one another, perhaps all of them: what is due there is worked off in the one order of all deadlines, for requests too.
///
/// Rules: a name has no more holders than each of them tolerates; requests for a name are granted in their order of arrival, and one for several names
/// when it is the first for each of them; time takes effect
/// in the order of the deadlines, however late the table hears of it, and at one instant leases end before waits do. A request under a tag that a session
/// sends again after ``Event/sessionAttached(_:)``, for the same names, is the one that it sent before: if that waits, it goes on and nothing comes of
/// it, and if it is a lease, its grant is said again.
public struct LockTable: Sendable {
    /// What the table takes on.
    public internal(set) var limits: Limits
    /// The largest that each limit has been since the table was made: there is never more, see ``change(_:)``.
    var largestLimits: Limits
    /// Whether somebody watches: then effects come with an ``Effect/observe(_:)`` for whatever happens, in that order.
    public var isObserved = false
    /// Whether the table remembers what has changed, for ``takeChanges(claims:sessions:)``.
    ///
    /// When it is set, everything that there is counts as changed.
    public var keepsChanges = false {
        didSet { if keepsChanges != oldValue { restartChanges() } }
    }
    /// What has happened so far.
    public internal(set) var totals = Totals()
    var histograms = Histograms()

    var locks = Slab<Lock>()
    var names = NameIndex()
    /// The locks whose queues could not be granted yet as far as they may be.
    var locksWithGrantsDue = SlotList<Lock>()
    /// How many waiting claims may still be granted in this event.
    var grantsLeft = 0
    /// How much of what is due anywhere may still be ended at this instant on behalf of requests.
    var endingsLeft = 0
    /// How much the search for a deadlock has looked at in the latest event that made one.
    public internal(set) var searchCost = 0
    /// The locks that nobody holds or waits for, the longest idle first.
    var idleLocks = SlotList<Lock>()
    var claims = Slab<Claim>()
    var leaseCounter = 0
    /// How many leases there can be on top of those that there are, without anybody asking for another one: see ``leasesToCome``.
    var leaseReserve = 0
    var sessions = Slab<Session>()
    var sessionSlots: [SessionID: Int] = [:]
    var users: Users
    var changedClaims = ChangedSlots()
    var changedSessions = ChangedSlots()
    /// How many sessions have ended and have leases still.
    var endedSessionCount = 0
    var detachedCount = 0
    /// Until when those are waited for whose turn it is and whose sessions have no connection: claims that wait, by slot.
    var graces: [Int: MonotonicInstant] = [:]
    /// Nothing is granted before; perhaps it has passed.
    var suspendedUntil = MonotonicInstant(nanoseconds: .min)
    var deadlines = DeadlineQueue()
    var progress = ProgressReports()
    var bindings = Bindings()
    /// The leases that have ended.
    var history: History

    /// The least token that was not granted.
    public internal(set) var nextToken: FencingToken
    var reservedThrough: FencingToken
    var lastArrival: UInt64 = 0
    var lastInstant = MonotonicInstant(nanoseconds: .min)
    /// How many claims there were when the table was made: limits may have been wider then.
    var restoredCount = 0
    /// When the table was made, if it goes on from another one: nobody could come back before.
    var restoredAt = MonotonicInstant(nanoseconds: .min)

    /// An empty table whose first grant has the token `firstToken`.
    ///
    /// Tokens from `firstToken` through `reservedThrough` may be granted until ``Event/tokensReserved(through:)`` allows more.
    public init(limits: Limits, firstToken: FencingToken, reservedThrough: FencingToken) {
        precondition(limits.waitersPerSession <= limits.endingsPerTurn, "all waits of a session end in one turn")
        self.limits = limits
        largestLimits = limits
        history = History(limits)
        users = Users(limits: limits)
        self.nextToken = firstToken
        self.reservedThrough = reservedThrough
    }

    /// Records that `event` happened at `now`, and adds to `effects` what is to be done about it.
    ///
    /// Instants MUST NOT go backwards. ``tokensLeft`` MUST be more than ``Limits/grantsPerTurn``: no event grants more leases.
    public mutating func apply(_ event: consuming Event, at now: MonotonicInstant, effects: inout [Effect]) {
        advance(to: now)
        switch consume event {
        case .sessionOpened(let id, let peer): open(id, peer)
        case .acquireRequested(let request): acquire(request, &effects)
        case .releaseRequested(let id, let name, let token): release(id, name, token, &effects)
        case .renewRequested(let id, let name, let token, let timeToLive):
            renew(id, name, token, timeToLive, &effects)
        case .cancelRequested(let id, let tag): cancel(id, tag, &effects)
        case .revokeRequested(let id, let name, let token, let reason): revoke(id, name, token, reason, &effects)
        case .nameInspected(let name): _ = settledLock(on: name, &effects)
        case .bindingEnded(let id): endBinding(of: id, &effects)
        case .inputEnded(let id): endInput(of: id, &effects)
        case .sessionEnded(let id): end(id)
        case .sessionDetached(let id): detach(id, &effects)
        case .sessionAttached(let id): attach(id, &effects)
        case .grantsSuspended(let instant): suspendGrants(until: instant)
        case .tokensReserved(let through): reserveTokens(through: through)
        case .bytesBuffered(let user, let count): users.setBuffered(count, for: user, limits: limits)
        case .progressDue: tellProgress(&effects)
        case .timePassed: workOff(&effects)
        }
    }

    /// Records that `event` happened at `now`, and returns what is to be done about it.
    public mutating func apply(_ event: consuming Event, at now: MonotonicInstant) -> [Effect] {
        var effects: [Effect] = []
        apply(event, at: now, effects: &effects)
        return effects
    }

    /// How many tokens can be granted before more must be reserved.
    public var tokensLeft: UInt64 { reservedThrough.value + 1 - nextToken.value }

    /// The earliest instant at which time alone changes the table, or `nil` if none does.
    ///
    /// Apply ``Event/timePassed`` no later than this. It is in the past while there is more to work off than one event does.
    public var nextDeadline: MonotonicInstant? {
        mutating get { nextDue?.instant }
    }

    mutating func advance(to now: MonotonicInstant) {
        precondition(now >= lastInstant, "time went backwards, from \(lastInstant) to \(now)")
        if now != lastInstant { endingsLeft = limits.endingsPerTurn }
        lastInstant = now
        grantsLeft = limits.grantsPerTurn
    }

    private mutating func open(_ id: SessionID, _ peer: Peer) {
        precondition(sessionSlots[id] == nil, "session \(id) is open already")
        let user = users.addSession(of: peer.user, limits: limits)
        let slot = sessions.insert(Session(id: id, peer: peer, user: user))
        sessionSlots[id] = slot
        noteChange(ofSession: slot)
    }

    private mutating func reserveTokens(through: FencingToken) {
        precondition(through >= reservedThrough, "tokens are reserved through \(reservedThrough), not \(through)")
        reservedThrough = through
    }

    // Some of what follows, here and in the other files, is mutating and changes nothing: a method that is not is handed a copy of the table.

    /// The slot of a session that has not ended.
    mutating func slot(of id: SessionID) -> Int {
        guard let slot = sessionSlots[id] else { preconditionFailure("session \(id) is not open") }
        if case .ended = sessions[slot].state { preconditionFailure("session \(id) has ended") }
        return slot
    }

    func hasEnded(_ session: Int) -> Bool { endInstant(of: session) != nil }

    /// When a session ended that has leases still.
    func endInstant(of session: Int) -> MonotonicInstant? {
        if case .ended(let instant) = sessions[session].state { instant } else { nil }
    }
}
