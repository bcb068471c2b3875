import LockdCore
import LockdModel
import Testing

// Who asks. Alice and Bob are two processes of one user, Carol is somebody else's. An untagged request is its session's.
let alice = RequestID(SessionID(1))
let bob = RequestID(SessionID(2))
let carol = RequestID(SessionID(3))
/// Not open unless a test opens it.
let dave = RequestID(SessionID(4))

/// A lock table with a clock that stands still until it is told to move, checked and audited after every step.
@dynamicMemberLookup
final class TableFixture {
    private(set) var table: LockTable
    private(set) var auditor: Auditor
    /// What the grants of the last event have said of the holders before; the effects that tests compare leave that out.
    private(set) var abandonments: [Abandonment] = []
    private(set) var now = MonotonicInstant(nanoseconds: 1_000_000_000)

    /// A table that Alice, Bob and Carol have sessions with; the first token is 1.
    init(tokensThrough lastToken: FencingToken = 1_000_000, _ changeLimits: (inout Limits) -> Void = { _ in }) {
        var limits = Limits()
        changeLimits(&limits)
        table = LockTable(limits: limits, firstToken: 1, reservedThrough: lastToken)
        auditor = Auditor(of: table, reservedThrough: lastToken)
        open(alice, user: UserID(1000))
        open(bob, user: UserID(1000))
        open(carol, user: UserID(1001))
    }

    @discardableResult
    func apply(_ event: Event) -> [Effect] {
        let effects = table.apply(event, at: now)
        table.checkInvariants()
        do {
            try auditor.observe(event, at: now, effects, leaseCount: table.leaseCount)
            try auditor.observe(histograms: table.allHistograms())
        } catch {
            Issue.record("\(error)")
        }
        abandonments = effects.compactMap(\.abandonment)
        return effects.map(\.withoutPredecessor)
    }

    /// Changes the limits while the table is in use.
    func changeLimits(_ change: (inout Limits) -> Void) {
        var limits = table.limits
        change(&limits)
        table.change(limits)
        auditor.observe(limits)
        table.checkInvariants()
    }

    /// Moves the clock, and nobody notices.
    func moveClock(_ length: Milliseconds) {
        now = now + length
    }

    /// Moves the clock by less than a millisecond.
    func moveClock(nanoseconds: Int64) {
        now = MonotonicInstant(nanoseconds: now.nanoseconds + nanoseconds)
    }

    /// Moves the clock and lets the table know.
    @discardableResult
    func advance(_ length: Milliseconds) -> [Effect] {
        moveClock(length)
        return passTime()
    }

    @discardableResult
    func passTime() -> [Effect] {
        apply(.timePassed)
    }

    func open(_ id: RequestID, user: UserID) {
        apply(.sessionOpened(id.session, user: user))
    }

    @discardableResult
    func acquire(
        _ names: LockNames,
        by id: RequestID,
        wait: WaitTimeout = .never,
        maxQueue: Int? = nil,
        limit: HolderLimit = .exclusive,
        ttl: Milliseconds? = nil,
        owner: Text? = nil,
        note: Text? = nil
    ) -> [Effect] {
        let request = AcquireRequest(
            id,
            names,
            wait: wait,
            queueLimit: maxQueue,
            holderLimit: limit,
            timeToLive: ttl,
            owner: owner,
            note: note
        )
        return apply(.acquireRequested(request))
    }

    @discardableResult
    func release(_ name: LockName, by id: RequestID, token: FencingToken? = nil) -> [Effect] {
        apply(.releaseRequested(id, name, token: token))
    }

    @discardableResult
    func renew(
        _ name: LockName,
        by id: RequestID,
        token: FencingToken? = nil,
        ttl: Milliseconds? = nil
    ) -> [Effect] {
        apply(.renewRequested(id, name, token: token, timeToLive: ttl))
    }

    @discardableResult
    func cancel(_ tag: Tag, by id: RequestID) -> [Effect] {
        apply(.cancelRequested(id, tag: tag))
    }

    @discardableResult
    func revoke(
        _ name: LockName,
        by id: RequestID,
        token: FencingToken? = nil,
        reason: Text? = nil
    ) -> [Effect] {
        apply(.revokeRequested(id, name, token: token, reason: reason))
    }

    @discardableResult
    func inspect(_ name: LockName) -> [Effect] {
        apply(.nameInspected(name))
    }

    @discardableResult
    func endInput(of id: RequestID) -> [Effect] {
        apply(.inputEnded(id.session))
    }

    /// Ends the session without working off what that leaves behind.
    @discardableResult
    func disconnect(_ id: RequestID) -> [Effect] {
        endInput(of: id) + apply(.sessionEnded(id.session))
    }

    /// When the table wants to be told the time, or `nil` if it does not.
    func nextInstant() -> MonotonicInstant? {
        let instant = table.nextDeadline
        do {
            try auditor.observe(nextDeadline: instant)
        } catch {
            Issue.record("\(error)")
        }
        return instant
    }

    /// How long until then, in whole milliseconds; 0 if it has passed.
    func nextDeadline() -> Milliseconds? {
        nextInstant().map { $0 - now }
    }

    /// When a request that waits is to be told how that goes.
    var nextProgress: MonotonicInstant? { table.nextProgress }

    subscript<Value>(dynamicMember member: KeyPath<LockTable, Value>) -> Value { table[keyPath: member] }

    /// The lines of `name`, all on one page.
    func show(_ name: LockName) -> [LockTable.Line] {
        inspect(name)
        return table.lines(of: name, after: nil, lineLimit: 500, at: now).lines
    }
}

extension RequestID {
    /// A request of the same session under `tag`.
    func tagged(_ tag: Tag) -> RequestID { RequestID(session, tag: tag) }
}

/// What the table says, as tests spell it: the name first, what is usual left out.
extension Effect {
    static func granted(
        _ names: LockNames,
        to id: RequestID,
        token: FencingToken,
        ttl: Milliseconds? = nil
    ) -> Self {
        .sendGranted(id, names, token: token, timeToLive: ttl, after: .unremarkable)
    }

    static func held(_ names: LockNames, by id: RequestID, token: FencingToken, ttl: Milliseconds? = nil) -> Self {
        .sendHeld(id, names, token: token, timeToLive: ttl)
    }

    static func busy(
        _ names: LockNames,
        to id: RequestID,
        holder: RequestID,
        held: Milliseconds = .seconds(0),
        holders: Int = 1,
        waiters: Int = 0
    ) -> Self {
        let holding = Holding(session: holder.session, held: held, holderCount: holders)
        return .sendBusy(id, names, holder: holding, waiterCount: waiters)
    }

    static func timedOut(
        _ names: LockNames,
        to id: RequestID,
        waited: Milliseconds,
        holder: RequestID,
        held: Milliseconds,
        waiters: Int = 0
    ) -> Self {
        .sendTimedOut(
            id,
            names,
            waited: waited,
            holder: Holding(session: holder.session, held: held),
            waiterCount: waiters
        )
    }

    static func cancelled(_ names: LockNames, to id: RequestID, waited: Milliseconds = .seconds(0)) -> Self {
        .sendCancelled(id, names, waited: waited)
    }

    static func released(_ names: LockNames, to id: RequestID, token: FencingToken) -> Self {
        .sendReleased(id, names, token: token)
    }

    static func renewed(_ names: LockNames, to id: RequestID, token: FencingToken, ttl: Milliseconds?) -> Self {
        .sendRenewed(id, names, token: token, timeToLive: ttl)
    }

    static func notHeld(_ name: LockName, to id: RequestID) -> Self { .sendNotHeld(id, name) }

    static func waitCancelled(_ tag: Tag, to id: RequestID) -> Self { .sendWaitCancelled(id, tag: tag) }

    static func notWaiting(_ tag: Tag, to id: RequestID) -> Self { .sendNotWaiting(id, tag: tag) }

    static func revoked(_ names: LockNames, to id: RequestID, token: FencingToken) -> Self {
        .sendRevoked(id, names, token: token)
    }

    static func denied(_ names: LockNames, to id: RequestID, token: FencingToken, holder: UserID) -> Self {
        .sendDenied(id, names, token: token, holder: holder)
    }

    static func refused(_ id: RequestID, _ refusal: Refusal) -> Self { .sendRefused(id, refusal) }

    static func expired(_ names: LockNames, of id: RequestID, token: FencingToken) -> Self {
        .sendLost(id.session, names, token: token, reason: .expired)
    }

    static func lost(
        _ names: LockNames,
        of id: RequestID,
        token: FencingToken,
        revokedBy revoker: RequestID,
        why: Text? = nil
    ) -> Self {
        .sendLost(id.session, names, token: token, reason: .revoked(by: revoker.session, why: why))
    }
}
