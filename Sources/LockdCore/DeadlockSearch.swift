import LockdModel

/// Finds out whether a request would wait for ever.
///
/// It plays on with what the request depends on, as if everybody who can still release did: whoever does not wait lets go of all leases, whoever
/// comes to the head of a queue and is admitted is granted, and can let go in turn once nothing else holds it up. (Graph reduction, as R. C. Holt
/// described it in "Some Deadlock Properties of Computer Systems", 1972.) If the request is not granted in the end, it never can be. The order of
/// the moves makes no difference: queues are granted in their order only, and letting go never hinders anybody.
///
/// Whoever waits for nothing else, and holds nothing else up but its own place, needs no account of its own: most waiters of a long queue.
struct DeadlockSearch {
    /// Who can release a lease, unless it is held up, by an untagged request of its session that waits, or by one of its own.
    ///
    /// The claims of one session whose requests are owners of their own (``Owner/request``) can share one: what holds them up is the same.
    struct Actor: Hashable {
        let session: Int
        let owner: Owner
    }

    /// What is left of a lock.
    struct LockState {
        /// Who holds it and may never let go, claims that were granted in the play included.
        var holders: Set<Int> = []
        /// How many of those there are that tolerate so many.
        var limits: [HolderLimit: Int] = [:]
        var queue: [Place] = []
        /// Where the head of the queue is.
        var head = 0
        /// How many of the claims that wait for the lock are in the queue here.
        var exploredCount = 0

        /// A place in the queue.
        enum Place {
            case claim(Int)
            /// Some that wait for nothing else, one behind the other: the strictest of them, and what that tolerates.
            case run(strictest: Int, HolderLimit)
        }

        var headPlace: Place? { head < queue.count ? queue[head] : nil }

        /// Whether the head of the queue is this claim.
        func isHead(_ wait: Int) -> Bool {
            if case .claim(wait) = headPlace { true } else { false }
        }

        func admits(_ limit: HolderLimit) -> Bool {
            holders.isEmpty || holders.count < min(limit, limits.keys.min() ?? .shared).count
        }
    }

    /// What it costs to keep an account of somebody, beside looking at one who needs none: measured, with ten thousand of them.
    private static let stepsPerAccount = 12

    /// The number of the request itself, which is in no slot yet.
    static let request = -1

    /// What the request would be.
    let id: RequestID
    let actor: Actor
    let limit: HolderLimit
    /// Those of its locks that there are.
    let slots: [Int]

    /// How many claims may be looked at.
    let stepLimit: Int
    private(set) var steps = 0

    var locks: [Int: LockState] = [:]
    /// Which wait holds up each actor that matters, if one does.
    private var waits: [Actor: Int?] = [:]
    /// The actors of each session that matter, and how many untagged requests hold it up.
    private var actors: [Int: [Actor]] = [:]
    private var untaggedWaitsLeft: [Int: Int] = [:]
    private var leases: [Actor: [Int]] = [:]
    /// The claims that were granted, or have let go, in the play.
    private(set) var granted: Set<Int> = []
    private var released: Set<Int> = []
    private var known: Set<Int> = []
    private var sessionWaits: [Int: SessionWaits] = [:]
    private var toExplore: [Int] = []
    private var toCheck: [Int] = []

    /// The waits of a session.
    private struct SessionWaits {
        var untagged: [Int] = []
        var byOwner: [Owner: Int] = [:]
    }

    /// A search for the request `id` of `owner`, for those of its locks that there are.
    init(_ id: RequestID, _ owner: Owner, _ limit: HolderLimit, in session: Int, on slots: [Int], stepLimit: Int) {
        self.id = id
        self.limit = limit
        self.slots = slots
        self.stepLimit = stepLimit
        actor = Actor(session: session, owner: owner)
    }

    /// Whether the request could never be granted; `false` also if that would take more steps than allowed to find out.
    mutating func isHopeless(in table: inout LockTable) -> Bool {
        guard actor.owner != .request || id.tag == nil, isWaitedFor(in: &table) else { return false }
        known.insert(Self.request)
        toExplore.append(Self.request)
        while let wait = toExplore.popLast() {
            explore(wait, in: &table)
            if steps > stepLimit { return false }
        }
        toCheck = slots + locks.keys.filter { !slots.contains($0) }
        while !granted.contains(Self.request), let lock = toCheck.popLast() {
            check(lock, in: &table)
            if steps > stepLimit { return false }
        }
        return !granted.contains(Self.request)
    }

    /// What holds up the actor of a lease.
    func waitsLeft(of lease: Int, in table: inout LockTable) -> [Int] {
        let actor = actor(of: lease, in: &table)
        let own = (waits[actor] ?? nil).map { [$0] } ?? []
        return ((sessionWaits[actor.session]?.untagged ?? []) + own).filter { !granted.contains($0) }
    }

    // MARK: What the request depends on

    /// Whether anybody may wait for what the request would hold up; as a rule nobody does, and that is the end of it.
    private mutating func isWaitedFor(in table: inout LockTable) -> Bool {
        let session = table.sessions[actor.session]
        steps += session.load
        let leases = session.leases.slots(in: table.claims)
        let waits = session.waits.slots(in: table.claims)
        func isWaitedFor(_ lease: Int) -> Bool {
            table.claims[lease].locks.contains { !table.locks[$0].queue.isEmpty || slots.contains($0) }
        }
        // As long as an untagged request waits, all of its session is held up.
        if id.tag == nil { return !waits.isEmpty || leases.contains(where: isWaitedFor) }
        func isOwn(_ claim: Int) -> Bool { table.claims[claim].owner.isSame(as: actor.owner) }
        // Whoever waits already is not held up by one more wait.
        return !waits.contains(where: isOwn) && leases.contains { isOwn($0) && isWaitedFor($0) }
    }

    /// Takes a claim that waits into account, with all that is ahead of it.
    private mutating func explore(_ wait: Int, in table: inout LockTable) {
        let arrival = wait == Self.request ? .max : table.claims[wait].arrival
        for lock in lockSlots(of: wait, in: &table) {
            if locks[lock] == nil {
                locks[lock] = LockState()
                for place in table.locks[lock].holders.places where steps <= stepLimit {
                    consider(lease: place.claim, on: lock, in: &table)
                }
            }
            var index = locks[lock]?.exploredCount ?? 0
            while steps <= stepLimit, index < table.locks[lock].queue.count,
                table.locks[lock].queue[index].number <= arrival
            {
                consider(wait: table.locks[lock].queue[index].claim, on: lock, in: &table)
                index += 1
            }
            locks[lock]?.exploredCount = index
            if wait == Self.request { locks[lock]?.queue.append(.claim(Self.request)) }
        }
        if wait == Self.request { consider(actor, in: &table) }
    }

    private mutating func consider(lease: Int, on lock: Int, in table: inout LockTable) {
        steps += 1
        guard !table.endsByItself(lease) else { return }
        let actor = actor(of: lease, in: &table)
        consider(actor, in: &table)
        guard !canLetGo(actor) else { return }
        locks[lock]?.add(lease, table.claims[lease].holderLimit)
        if known.insert(lease).inserted { leases[actor, default: []].append(lease) }
    }

    private mutating func consider(wait: Int, on lock: Int, in table: inout LockTable) {
        steps += 1
        let limit = table.claims[wait].holderLimit
        guard table.holdsUpOthers(wait) || known.contains(wait) || isOfRequester(wait, in: &table) else {
            locks[lock]?.appendToRun(wait, limit)
            return
        }
        locks[lock]?.queue.append(.claim(wait))
        consider(actor(of: wait, in: &table), in: &table)
        note(wait)
    }

    /// Takes into account what an actor waits for.
    private mutating func consider(_ actor: Actor, in table: inout LockTable) {
        guard waits[actor] == nil else { return }
        steps += Self.stepsPerAccount
        let ofSession = waits(of: actor.session, in: &table)
        let own = ofSession.byOwner[actor.owner]
        waits[actor] = .some(own)
        actors[actor.session, default: []].append(actor)
        ofSession.untagged.forEach { note($0) }
        if let own { note(own) }
    }

    private func canLetGo(_ actor: Actor) -> Bool {
        untaggedWaitsLeft[actor.session] == 0 && (waits[actor] ?? nil).map(granted.contains) ?? true
    }

    private mutating func note(_ wait: Int) {
        if known.insert(wait).inserted { toExplore.append(wait) }
    }

    private mutating func waits(of session: Int, in table: inout LockTable) -> SessionWaits {
        if let found = sessionWaits[session] { return found }
        var found = SessionWaits()
        for wait in table.sessions[session].waits.slots(in: table.claims) {
            steps += 1
            if table.claims[wait].id.tag == nil { found.untagged.append(wait) }
            if table.claims[wait].holdsUpOwner { found.byOwner[table.claims[wait].owner] = wait }
        }
        if session == actor.session {
            if id.tag == nil { found.untagged.append(Self.request) }
            if case .named = actor.owner { found.byOwner[actor.owner] = Self.request }
        }
        sessionWaits[session] = found
        untaggedWaitsLeft[session] = found.untagged.count
        return found
    }

    /// Whether the wait is of the session that asks, where the request holds up more than it seems.
    private func isOfRequester(_ wait: Int, in table: inout LockTable) -> Bool {
        table.claims[wait].session == actor.session
    }

    // MARK: The play

    /// Grants a lock to the claims at the head of its queue.
    private mutating func check(_ lock: Int, in table: inout LockTable) {
        while let head = locks[lock]?.headPlace {
            steps += 1
            switch head {
            case .run(_, let limit):
                guard admits(lock, limit) else { return }
                locks[lock]?.head += 1
            case .claim(let wait):
                let limit = holderLimit(of: wait, in: &table)
                for lock in lockSlots(of: wait, in: &table) {
                    guard locks[lock]?.isHead(wait) == true, admits(lock, limit) else { return }
                }
                grant(wait, limit, in: &table)
            }
        }
    }

    /// Whether a lock admits whoever comes next: all the limits of its holders are looked at.
    private mutating func admits(_ lock: Int, _ limit: HolderLimit) -> Bool {
        steps += locks[lock]?.limits.count ?? 0
        return locks[lock]?.admits(limit) == true
    }

    private mutating func grant(_ wait: Int, _ limit: HolderLimit, in table: inout LockTable) {
        granted.insert(wait)
        for lock in lockSlots(of: wait, in: &table) {
            locks[lock]?.head += 1
            locks[lock]?.add(wait, limit)
            toCheck.append(lock)
        }
        let actor = actor(of: wait, in: &table)
        // What is bound to something else anybody may release.
        if table.bindings.contains(wait) { letGo(wait, in: &table) }
        leases[actor, default: []].append(wait)
        letGoIfPossible(actor, in: &table)
        guard id(of: wait, in: &table).tag == nil else { return }
        untaggedWaitsLeft[actor.session, default: 0] -= 1
        // The session is read again.
        for other in actors[actor.session] ?? [] { letGoIfPossible(other, in: &table) }
    }

    private mutating func letGoIfPossible(_ actor: Actor, in table: inout LockTable) {
        steps += 1
        if canLetGo(actor) { letGo(actor, in: &table) }
    }

    private mutating func letGo(_ actor: Actor, in table: inout LockTable) {
        for lease in leases.removeValue(forKey: actor) ?? [] { letGo(lease, in: &table) }
    }

    private mutating func letGo(_ lease: Int, in table: inout LockTable) {
        guard released.insert(lease).inserted else { return }
        let limit = holderLimit(of: lease, in: &table)
        for lock in lockSlots(of: lease, in: &table) where locks[lock]?.remove(lease, limit) == true {
            toCheck.append(lock)
        }
    }

    // MARK: Claims, the request among them

    func actor(of claim: Int, in table: inout LockTable) -> Actor {
        if claim == Self.request { return actor }
        return Actor(session: table.claims[claim].session, owner: table.claims[claim].owner)
    }

    private func id(of claim: Int, in table: inout LockTable) -> RequestID {
        claim == Self.request ? id : table.claims[claim].id
    }

    func holderLimit(of claim: Int, in table: inout LockTable) -> HolderLimit {
        claim == Self.request ? limit : table.claims[claim].holderLimit
    }

    func lockSlots(of claim: Int, in table: inout LockTable) -> [Int] {
        claim == Self.request ? slots : Array(table.claims[claim].locks)
    }
}

extension DeadlockSearch.LockState {
    mutating func add(_ claim: Int, _ limit: HolderLimit) {
        holders.insert(claim)
        limits[limit, default: 0] += 1
    }

    /// Says whether the claim was there.
    mutating func remove(_ claim: Int, _ limit: HolderLimit) -> Bool {
        guard holders.remove(claim) != nil else { return false }
        let count = (limits[limit] ?? 1) - 1
        limits[limit] = count == 0 ? nil : count
        return true
    }

    mutating func appendToRun(_ wait: Int, _ limit: HolderLimit) {
        guard case .run(_, let strictest) = queue.last else { return queue.append(.run(strictest: wait, limit)) }
        if limit < strictest { queue[queue.count - 1] = .run(strictest: wait, limit) }
    }
}

extension LockTable {
    /// Whether a lease ends without anybody releasing it, or has ended.
    mutating func endsByItself(_ lease: Int) -> Bool { isOver(lease) }

    /// Takes note that a claim begins to wait: it holds up its owner, unless that waits already.
    ///
    /// An owner that asks for something while something else of its own waits shows that it goes on, and is held up by neither.
    mutating func noteWhomItHoldsUp(_ wait: Int) {
        guard case .named = claims[wait].owner else { return }
        claims[wait].holdsUpOwner = true
        for other in sessions[claims[wait].session].waits.slots(in: claims)
        where other != wait && claims[other].owner.isSame(as: claims[wait].owner) {
            claims[wait].holdsUpOwner = false
            claims[other].holdsUpOwner = false
            noteChange(ofClaim: other)
        }
    }

    /// Whether a wait may hold up more than those behind it in the one queue that it is in.
    mutating func holdsUpOthers(_ wait: Int) -> Bool {
        let session = claims[wait].session
        if !claims[wait].locks.isSingle { return true }
        if sessions[session].load == 1 { return false }
        return claims[wait].owner != .request || sessions[session].waits.count > sessions[session].waitsByTag.count
    }
}
