import LockdCore
import LockdModel

/// The generator of pseudo-random numbers that Sebastiano Vigna calls SplitMix64: the same seed, the same numbers.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}

/// Thousands of sessions that do what they like to a lock table, while an auditor watches.
struct Simulation {
    private let plan: SimulationPlan
    private var random: SplitMix64
    var table: LockTable
    var auditor: Auditor
    var now = MonotonicInstant(nanoseconds: 1_000_000_000)
    var open: [SessionID] = []
    var draining: [SessionID] = []
    private var sessionCount: UInt64 = 0
    /// What was granted, as a client remembers it: it may be over.
    private var remembered: [(id: RequestID, names: LockNames, token: FencingToken)] = []
    /// What had to wait, and under which tag: it may be over.
    private var waited: [RequestID] = []
    /// What was asked for under a tag, the latest last, and what of that is to be sent again.
    private var asked: [AcquireRequest] = []
    private var toResend: [AcquireRequest] = []
    /// The sessions without a connection, or some of them; they may have ended.
    private var detached: [SessionID] = []
    /// Nothing is granted before.
    private var suspendedUntil = MonotonicInstant(nanoseconds: .min)
    /// How often a grant was said again.
    private(set) var repeatedGrantCount = 0
    /// How often a detached session was waited for in vain.
    var vainCount: Int { auditor.vainCount }
    /// What leases and waits are bound to.
    private var bound: [SessionID] = []
    private var bindingCount: UInt64 = 0
    var reservedThrough: FencingToken = 0
    /// What is written down of the table, by what it says of its changes.
    private var mirror = Mirror()
    /// What all effects were, in short.
    private(set) var fingerprint = 0
    /// How often a request has gone the short way.
    private(set) var shortWayCount = 0

    private static let users = [UserID.root, UserID(1000), UserID(1001), .overflow]
    private static let tags = (0..<8).map { Tag($0) }
    private static let owners: [Text] = ["reader", "writer", "sweeper"]

    init(_ plan: SimulationPlan, seed: UInt64) {
        self.plan = plan
        random = SplitMix64(state: seed)
        table = LockTable(limits: plan.limits, firstToken: 1, reservedThrough: 0)
        table.keepsChanges = true
        auditor = Auditor(of: table, reservedThrough: 0)
    }

    /// Takes so many steps, and then ends all sessions and waits until the table is empty.
    mutating func run(stepCount: Int) throws(Complaint) {
        for _ in 0..<plan.sessionCount { try apply(openSession()) }
        for step in 0..<stepCount {
            try moveClock()
            try apply(nextEvent())
            if step % 256 == 0 {
                table.checkInvariants()
                try mirror.compare(with: &table)
                try auditor.observe(histograms: table.allHistograms())
            }
            if chance(plan.restarts) { try restart() }
            if chance(plan.suspensions) { try suspendGrants() }
            if step % 512 == 0 { try list() }
        }
        for id in open { try apply(.inputEnded(id)) }
        for id in open + draining { try apply(.sessionEnded(id)) }
        for id in bound { try apply(.bindingEnded(id)) }
        for user in Self.users { try apply(.bytesBuffered(user, 0)) }
        try workOff()
        try auditor.observeEnd(of: table)
        try auditor.observe(histograms: table.allHistograms())
        table.checkInvariants()
    }

    mutating func apply(_ event: Event) throws(Complaint) {
        if table.tokensLeft <= plan.limits.grantsPerTurn {
            reservedThrough = FencingToken(reservedThrough.value + 2 * UInt64(plan.limits.grantsPerTurn) + 1)
            try audit(.tokensReserved(through: reservedThrough))
        }
        try audit(event)
    }

    private mutating func audit(_ event: Event) throws(Complaint) {
        let effects = try applyAndWitness(event)
        mirror.update(from: &table)
        try auditor.observe(event, at: now, effects, leaseCount: table.leaseCount)
        try auditor.observe(nextDeadline: table.nextDeadline)
        try auditor.observe(nextProgress: table.nextProgress)
        if case .acquireRequested(let request) = event, request.id.tag != nil, effects.isEmpty {
            waited.append(request.id)
        }
        noteForResending(event, effects)
        for effect in effects {
            if case .sendGranted(let id, let names, let token, _, _) = effect { remembered.append((id, names, token)) }
            if case .unbind(let id) = effect { bound.removeAll { $0 == id } }
            var hasher = Hasher()
            hasher.combine(fingerprint)
            hasher.combine(effect)
            fingerprint = hasher.finalize()
        }
    }

    /// Remembers what may be sent again, and once its session is resumed, that it is to be.
    private mutating func noteForResending(_ event: Event, _ effects: [Effect]) {
        if case .sessionAttached(let id) = event { toResend += asked.filter { $0.id.session == id } }
        guard case .acquireRequested(let request) = event, request.id.tag != nil else { return }
        for case .sendGranted(request.id, _, let token, _, _) in effects
        where remembered.contains(where: { $0.token == token }) { repeatedGrantCount += 1 }
        asked.append(request)
        if asked.count > 2000 { asked.removeFirst(1000) }
        if toResend.count > 200 { toResend.removeFirst(100) }
    }

    /// Applies the event, watched or not, which makes no other difference.
    private mutating func applyAndWitness(_ event: Event) throws(Complaint) -> [Effect] {
        table.isObserved = chance(300)
        guard table.isObserved else { return chance(300) ? try applyInBothWays(event) : table.apply(event, at: now) }
        let witness = Witness(of: table)
        let effects = table.apply(event, at: now)
        try witness.observe(effects, in: table)
        return effects.filter { if case .observe = $0 { false } else { true } }
    }

    /// Applies the event, and also goes the short way if there is one; goes on with the table that has gone the short way.
    private mutating func applyInBothWays(_ event: Event) throws(Complaint) -> [Effect] {
        var other = table
        let effects = table.apply(event, at: now)
        let effectAtOnce = other.effectAtOnce(of: event, at: now)
        let otherEffects = effectAtOnce.map { [$0] } ?? other.apply(event, at: now)
        if effectAtOnce != nil { shortWayCount += 1 }
        guard effects == otherEffects else {
            throw Complaint("\(event) has the effects \(effects), but \(otherEffects) if it goes the short way")
        }
        guard table.allHistograms() == other.allHistograms() else {
            throw Complaint("\(event) is counted differently if it goes the short way")
        }
        swap(&table, &other)
        return effects
    }

    /// Time goes by, often not at all, sometimes by a lot; now and then nobody tells the table.
    private mutating func moveClock() throws(Complaint) {
        guard chance(plan.clockMoves) else { return }
        switch below(100) {
        case 0: now = now + .seconds(Int64(below(100_000)))
        case 1..<10: now = MonotonicInstant(nanoseconds: now.nanoseconds + Int64(below(1_000_000)))
        case 10..<40: now = max(now, table.nextDeadline ?? now)
        default: now = now + duration(0...5)
        }
        if let deadline = table.nextDeadline, deadline <= now, chance(plan.tellings) { try apply(.timePassed) }
        if let instant = table.nextProgress, instant <= now, chance(plan.tellings) { try apply(.progressDue) }
    }

    /// Tells the table the time until it has nothing left to do at any time.
    private mutating func workOff() throws(Complaint) {
        while let deadline = table.nextDeadline {
            now = max(now, deadline)
            let before = (table.leaseCount, table.waiterCount)
            // Some of what is due may be due no more, or begin to be waited for.
            for _ in 0...plan.nameCount where before == (table.leaseCount, table.waiterCount) { try apply(.timePassed) }
            let isDone = before != (table.leaseCount, table.waiterCount) || table.nextDeadline != deadline
            guard isDone else { throw Complaint("nothing was worked off") }
        }
    }

    /// Goes on with a table that was made of what is written down of this one.
    private mutating func restart() throws(Complaint) {
        try mirror.compare(with: &table)
        try auditor.observe(histograms: table.allHistograms())
        let downtime = Downtime(from: now, to: chance(500) ? now : now + duration(0...20))
        let lost = chance(500) ? [] : Set(open.filter { _ in chance(300) } + bound.filter(auditor.isBoundLease))
        table = try mirror.restore(&table, downtime, reservedThrough: reservedThrough, detached: lost)
        detached += lost.sorted()
        mirror = Mirror()
        mirror.update(from: &table)
        auditor.noteRestart(downtime, detached: lost)
        now = downtime.to
        // Before anything else.
        if suspendedUntil > now { try audit(.grantsSuspended(until: suspendedUntil)) }
        for id in draining { try apply(.inputEnded(id)) }
    }

    private mutating func suspendGrants() throws(Complaint) {
        suspendedUntil = max(suspendedUntil, now + duration(0...30))
        try apply(.grantsSuspended(until: suspendedUntil))
    }

    private mutating func list() throws(Complaint) {
        try workOffWhatIsDue()
        var lines: [LockTable.Line] = []
        var cursor: Cursor?
        repeat {
            let page = table.lines(
                withPrefix: nil,
                after: cursor,
                lineLimit: 1 + below(100),
                at: now
            )
            lines += page.lines
            cursor = page.next
        } while cursor != nil
        try auditor.observe(listing: lines)
    }

    private mutating func workOffWhatIsDue() throws(Complaint) {
        while let deadline = table.nextDeadline, deadline <= now { try apply(.timePassed) }
    }
}

/// What the sessions do.
extension Simulation {
    /// Something that can happen: a session that waits for the answer to an untagged request is not read.
    private mutating func nextEvent() -> Event {
        for _ in 0..<10 {
            let event = anyEvent()
            guard let session = event.requester, auditor.isHeldBack(session) || auditor.isDetached(session) else {
                return event
            }
        }
        return .timePassed
    }

    private mutating func anyEvent() -> Event {
        if chance(plan.churn) || open.isEmpty { return sessionEvent() }
        if chance(plan.detachments) { return detachment() }
        if chance(plan.detachments), let request = requestFromBefore() { return .acquireRequested(request) }
        let session = draining.isEmpty || !chance(30) ? element(of: open) : element(of: draining)
        let id = RequestID(session, tag: chance(700) ? element(of: Self.tags) : nil)
        switch below(100) {
        case 0..<50: return .acquireRequested(acquireRequest(id, names()))
        case 50..<52:
            guard let lease = rememberedLease(forgets: false) else { return .nameInspected(name()) }
            return .acquireRequested(acquireRequest(RequestID(lease.id.session), chance(700) ? lease.names : names()))
        case 52..<70:
            guard let lease = rememberedLease(forgets: true) else { return .nameInspected(name()) }
            let name = element(of: Array(lease.names))
            return .releaseRequested(RequestID(lease.id.session, tag: id.tag), name, token: lease.token)
        case 70..<74: return .releaseRequested(id, name(), token: nil)
        case 74..<82:
            guard let lease = rememberedLease(forgets: false) else { return .timePassed }
            let timeToLive = chance(500) ? duration(1...30) : nil
            return .renewRequested(
                RequestID(lease.id.session),
                element(of: Array(lease.names)),
                token: lease.token,
                timeToLive: timeToLive
            )
        case 82..<85: return .cancelRequested(id, tag: element(of: Self.tags))
        case 85..<90:
            guard let wait = waited.popLast(), let tag = wait.tag else { return .timePassed }
            return .cancelRequested(RequestID(wait.session), tag: tag)
        case 90..<93: return .revokeRequested(id, name(), token: nil, reason: chance(500) ? "why not" : nil)
        case 93..<95: return .nameInspected(name())
        case 95..<97: return bound.isEmpty ? .progressDue : .bindingEnded(element(of: bound))
        case 97..<98: return .progressDue
        case 98..<99 where plan.limits.bytesPerUser < 1 << 20:
            return .bytesBuffered(element(of: Self.users), chance(500) ? 0 : below(2 * plan.limits.bytesPerUser))
        default: return .timePassed
        }
    }

    /// Sessions come and go so that there are about as many as planned.
    private mutating func sessionEvent() -> Event {
        if open.count < plan.sessionCount && chance(open.count < plan.sessionCount / 2 ? 900 : 500) || open.isEmpty {
            return openSession()
        }
        if !draining.isEmpty && chance(500) {
            let id = draining.remove(at: below(draining.count))
            remembered.removeAll { $0.id.session == id }
            waited.removeAll { $0.session == id }
            return .sessionEnded(id)
        }
        let id = open.remove(at: below(open.count))
        draining.append(id)
        return .inputEnded(id)
    }

    /// A session loses its connection, or gets one again, perhaps without having lost one.
    private mutating func detachment() -> Event {
        detached.removeAll { !open.contains($0) && !draining.contains($0) }
        if !detached.isEmpty, chance(600) { return .sessionAttached(detached.remove(at: below(detached.count))) }
        if chance(200) { return .sessionAttached(element(of: open)) }
        if chance(100), let id = bound.first(where: auditor.isBoundLease) { return .sessionDetached(id) }
        let id = draining.isEmpty || !chance(100) ? element(of: open) : element(of: draining)
        detached.append(id)
        return .sessionDetached(id)
    }

    /// A request that was sent before, or one that looks like it.
    private mutating func requestFromBefore() -> AcquireRequest? {
        guard let former = chance(100) ? asked.last : toResend.popLast() else { return nil }
        guard open.contains(former.id.session) else { return nil }
        var names = former.names
        if chance(100), let first = names.others.first { names = LockNames(first, [names.first]) ?? names }
        return acquireRequest(former.id, chance(900) ? names : self.names())
    }

    private mutating func openSession() -> Event {
        sessionCount += 1
        let id = SessionID(sessionCount)
        open.append(id)
        return .sessionOpened(id, user: element(of: Self.users))
    }

    private mutating func acquireRequest(_ id: RequestID, _ names: LockNames) -> AcquireRequest {
        // That is what may go the short way.
        if chance(200) { return AcquireRequest(id, names) }
        let wait: WaitTimeout =
            switch below(10) {
            case 0..<2: .none
            case 2..<5: .never
            default: .after(duration(0...30))
            }
        return AcquireRequest(
            id,
            names,
            wait: wait,
            queueLimit: chance(100) ? below(4) : nil,
            holderLimit: holderLimit(),
            timeToLive: chance(500) ? duration(1...30) : nil,
            owner: chance(300) ? element(of: Self.owners) : nil,
            note: chance(50) ? "hello" : nil,
            progress: chance(100) ? duration(1...20) : nil,
            boundHolder: chance(50) ? boundHolder() : nil
        )
    }

    private mutating func boundHolder() -> BoundHolder {
        bindingCount += 1
        let id = SessionID(1_000_000 + bindingCount)
        bound.append(id)
        let user = element(of: Self.users)
        return BoundHolder(session: id, peer: Peer(process: 7, user: user, command: "bound"))
    }

    private mutating func holderLimit() -> HolderLimit {
        switch below(1000) {
        case 0..<plan.shared: .shared
        case plan.shared..<(plan.shared + plan.counted): HolderLimit(2 + below(3))
        default: .exclusive
        }
    }

    /// A lease that was granted once, to a session that is not over.
    private mutating func rememberedLease(forgets: Bool) -> (id: RequestID, names: LockNames, token: FencingToken)? {
        guard !remembered.isEmpty else { return nil }
        let index = below(remembered.count)
        guard forgets else { return remembered[index] }
        remembered.swapAt(index, remembered.count - 1)
        return remembered.removeLast()
    }

    /// One name, or several.
    private mutating func names() -> LockNames {
        var names = LockNames(name())
        guard chance(plan.sets) else { return names }
        for _ in 0..<(1 + below(plan.setSize - 1)) { names = names.adding(name()) ?? names }
        return names
    }

    /// Some names are asked for far more often than others.
    private mutating func name() -> LockName {
        let place = Double.random(in: 0..<1, using: &random)
        return LockName(stringLiteral: "job/\(Int(place * place * place * Double(plan.nameCount)))")
    }

    /// Few different lengths, so that deadlines often coincide.
    private mutating func duration(_ tenths: ClosedRange<Int64>) -> Milliseconds {
        Milliseconds(Int64.random(in: tenths, using: &random) * 100)
    }

    private mutating func below(_ limit: Int) -> Int {
        Int.random(in: 0..<limit, using: &random)
    }

    private mutating func chance(_ perThousand: Int) -> Bool {
        below(1000) < perThousand
    }

    private mutating func element<Element>(of elements: [Element]) -> Element {
        elements[below(elements.count)]
    }
}

extension Event {
    /// The session whose line it is.
    fileprivate var requester: SessionID? {
        switch self {
        case .acquireRequested(let request): request.id.session
        case .releaseRequested(let id, _, _), .renewRequested(let id, _, _, _), .cancelRequested(let id, _),
            .revokeRequested(let id, _, _, _):
            id.session
        case .sessionOpened, .nameInspected, .bindingEnded, .inputEnded, .sessionEnded, .tokensReserved, .progressDue,
            .bytesBuffered, .timePassed, .sessionDetached, .sessionAttached, .grantsSuspended:
            nil
        }
    }
}
