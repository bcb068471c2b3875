import LockdCore
import LockdModel

/// What an auditor writes down.
extension Auditor {
    /// Who holds one name, or several with one lease.
    struct Holder {
        var request: AcquireRequest
        var token: FencingToken
        var timeToLive: Milliseconds?
        var deadline: MonotonicInstant?
        var grantedAt: MonotonicInstant
        /// The user that it counts for.
        var payer: UserID
        /// The number of the request among all that were asked.
        var serial: Int

        var names: LockNames { request.names }
        /// The session that it ends with.
        var session: SessionID { request.boundHolder?.session ?? request.id.session }
    }

    /// A request that has no answer yet.
    struct Wait {
        var number: Int
        var request: AcquireRequest
        var since: MonotonicInstant
        var deadline: MonotonicInstant?
        /// Since when it could have been granted: it is the first for each of its names, and all of them admit it.
        var openSince: MonotonicInstant?
        /// Whether there was a turn that had granted as many as one may while this one could have been granted.
        var isPutOff = false
        /// The user that it counts for.
        var payer = UserID.overflow
        /// Whether its owner does nothing else meanwhile.
        var holdsUpOwner = false
        /// What it was told last of how it goes, and when; nothing if it is to be told anew.
        var told: Report?
        var toldAt: MonotonicInstant?
        /// The number of the request among all that were asked.
        var serial = 0
        /// Whether it could have been granted at once, if grants had not been suspended.
        var wasFree = false
        /// Until when its session is waited for, if it is detached and it would be granted otherwise.
        var graceEnd: MonotonicInstant?
        /// Whether its names became free while more was due than could be worked off, so that it may be granted though it was over before.
        var mayBeLate = false

        var names: LockNames { request.names }

        /// How much it may add to the leases.
        var load: Int { names.count > 1 || request.holderLimit != .exclusive || wasFree ? names.count : 0 }

        /// When it ends by time alone.
        var end: MonotonicInstant? { [deadline, graceEnd].compactMap { $0 }.min() }
    }

    /// What is known of a name.
    struct Account {
        /// In the order in which they were granted.
        var holders: [(token: FencingToken, limit: HolderLimit)] = []
        /// The numbers of the waits.
        var queue: [Int] = []
        /// How many holders and waiters have other names as well.
        var tieCount = 0
        /// Since when the first of the queue is admitted, as far as this name is concerned.
        var admitsFirstSince: MonotonicInstant?
        /// When the last lease has ended, or the last wait that was the first of the queue, that was in the way of whoever is the first now.
        var clearedAt = MonotonicInstant(nanoseconds: .min)
        /// The leases that ended without having been released since the last grant that spoke of one, in the order in which they did.
        var abandonments: [Abandoned] = []

        /// Whether one more holder, with this limit, is no more than everybody tolerates.
        func admits(_ limit: HolderLimit) -> Bool {
            holders.allSatisfy { holders.count < $0.limit.count } && holders.count < limit.count
        }

        /// Whether a request with this limit need not wait.
        func isFree(for limit: HolderLimit) -> Bool { queue.isEmpty && admits(limit) }
    }

    /// A lease that nobody has been told of yet.
    struct Abandoned {
        var at: MonotonicInstant
        var abandonment: Abandonment
        /// Whether another one was spoken of instead, perhaps.
        var mayGoUntold = false
    }

    /// A lease whose session has ended.
    struct SilentLease {
        var at: MonotonicInstant
        var holder: Holder

        var names: LockNames { holder.names }
    }

    struct Client {
        var peer: Peer
        var isDraining = false
        /// Since when it has had no connection.
        var detachedAt: MonotonicInstant?
        /// The number of the last request before it was resumed.
        var resumedThrough = 0
        var leases: Set<FencingToken> = []
        var waits: Set<Int> = []
        /// What waits under which tag.
        var tags: [Tag: Int] = [:]
    }

    /// When something is due; at one instant leases come before waits.
    struct Due: Comparable {
        var instant: MonotonicInstant
        var isOfWait: Bool

        static func < (left: Self, right: Self) -> Bool {
            left.instant == right.instant ? !left.isOfWait && right.isOfWait : left.instant < right.instant
        }
    }
}

/// The account of who holds and who waits.
extension Auditor {
    mutating func enqueue(_ request: AcquireRequest) {
        lastArrival += 1
        var wait = Wait(number: lastArrival, request: request, since: now, deadline: deadline(of: request))
        wait.payer = payer(of: request)
        wait.serial = requestCount
        wait.wasFree = grantsAreSuspended && obstacles(to: request).isEmpty
        waits[wait.number] = wait
        noteTimings(of: wait)
        noteWhomItHoldsUp(wait)
        for name in request.names {
            accounts[name, default: Account()].queue.append(wait.number)
            if request.names.count > 1 { accounts[name]?.tieCount += 1 }
        }
        if let deadline = wait.deadline { insert(Due(instant: deadline, isOfWait: true)) }
        clients[request.id.session]?.waits.insert(wait.number)
        if let tag = request.id.tag { clients[request.id.session]?.tags[tag] = wait.number }
        waitLoad += wait.load
        // While it waits for one name it may be the first for another, which is free.
        for name in request.names where accounts[name]?.queue.first == wait.number {
            noteFirst(of: name, since: now, isNew: true)
        }
    }

    /// Takes a wait out of all of its queues; what that opens is for the caller to say.
    mutating func dequeue(_ wait: Wait) {
        waits[wait.number] = nil
        for name in wait.names {
            accounts[name]?.queue.removeAll { $0 == wait.number }
            if wait.names.count > 1 { accounts[name]?.tieCount -= 1 }
        }
        let id = wait.request.id
        if let deadline = wait.end { remove(Due(instant: deadline, isOfWait: true)) }
        clients[id.session]?.waits.remove(wait.number)
        if let tag = id.tag { clients[id.session]?.tags[tag] = nil }
        openWaits.remove(wait.number)
        waitLoad -= wait.load
    }

    /// Takes a wait that has ended out of its queues, and notes who could have been granted since then.
    mutating func leave(_ wait: Wait, at instant: MonotonicInstant) {
        let headed = wait.names.filter { accounts[$0]?.queue.first == wait.number }
        dequeue(wait)
        for name in headed { noteFirst(of: name, since: instant, isNew: true) }
    }

    /// Notes whether the first of the queue is admitted, if it is another one, or was not admitted before, since `instant`.
    mutating func noteFirst(of name: LockName, since instant: MonotonicInstant, isNew: Bool = false) {
        let isInTime = isNew ? false : admitsFirstInTime(name)
        if !isInTime, let former = accounts[name]?.clearedAt { accounts[name]?.clearedAt = max(former, instant) }
        guard let account = accounts[name], let first = account.queue.first, let wait = waits[first] else {
            accounts[name]?.admitsFirstSince = nil
            return
        }
        if !account.admits(wait.request.holderLimit) {
            accounts[name]?.admitsFirstSince = nil
        } else if !isInTime {
            accounts[name]?.admitsFirstSince = account.clearedAt
        }
        noteWhetherOpen(wait)
    }

    private func admitsFirstInTime(_ name: LockName) -> Bool {
        guard let account = accounts[name], let first = account.queue.first.flatMap({ waits[$0] }) else { return false }
        return account.admitsFirstSince.map { $0 <= first.deadline ?? $0 } ?? false
    }

    /// Notes whether a wait is the first for each of its names, and admitted there.
    private mutating func noteWhetherOpen(_ wait: Wait) {
        var since = MonotonicInstant(nanoseconds: .min)
        for name in wait.names {
            guard let account = accounts[name], account.queue.first == wait.number,
                let admitted = account.admitsFirstSince
            else {
                waits[wait.number]?.openSince = nil
                openWaits.remove(wait.number)
                return
            }
            since = max(since, admitted)
        }
        guard waits[wait.number]?.openSince == nil else { return }
        let mayBeLate = hasWorkLeft || hadOpenWaits || isBehind
        waits[wait.number]?.openSince = since
        waits[wait.number]?.mayBeLate = mayBeLate
        if since < suspendedUntil { waits[wait.number]?.isPutOff = true }
        noteOpen(wait.number)
    }

    /// Makes a lease of a request; if that waited, it could have been granted since `instant`.
    mutating func occupy(
        _ request: AcquireRequest,
        token: FencingToken,
        since instant: MonotonicInstant,
        _ serial: Int
    ) {
        let deadline = request.timeToLive.map { now + $0 }
        holders[token] = Holder(
            request: request,
            token: token,
            timeToLive: request.timeToLive,
            deadline: deadline,
            grantedAt: now,
            payer: payer(of: request),
            serial: serial
        )
        if let deadline { insert(Due(instant: deadline, isOfWait: false)) }
        for name in request.names {
            accounts[name, default: Account()].holders.append((token, request.holderLimit))
            if request.names.count > 1 { accounts[name]?.tieCount += 1 }
        }
        openBinding(of: request)
        clients[request.boundHolder?.session ?? request.id.session]?.leases.insert(token)
        leaseLoad += request.names.count
        for name in request.names { noteFirst(of: name, since: instant, isNew: true) }
    }

    mutating func vacate(_ holder: Holder, at instant: MonotonicInstant) {
        recordHold(holder, until: instant)
        holders[holder.token] = nil
        for name in holder.names {
            accounts[name]?.holders.removeAll { $0.token == holder.token }
            if holder.names.count > 1 { accounts[name]?.tieCount -= 1 }
        }
        if let deadline = holder.deadline { remove(Due(instant: deadline, isOfWait: false)) }
        clients[holder.session]?.leases.remove(holder.token)
        if holder.request.boundHolder != nil { clients[holder.session] = nil }
        leaseLoad -= holder.names.count
        for name in holder.names { noteFirst(of: name, since: instant) }
    }

    /// Takes note that a lease has ended at `instant` and was not released; if its session is told so, the table ends it now.
    mutating func abandon(
        _ holder: Holder,
        _ ending: Abandonment.Ending,
        at instant: MonotonicInstant,
        isTold: Bool = true
    ) {
        guard let peer = clients[holder.session]?.peer else { return }
        let abandonment = Abandonment(
            ending,
            token: holder.token,
            process: peer.process,
            user: peer.user,
            command: peer.command,
            held: instant - holder.grantedAt,
            note: holder.request.note
        )
        for name in holder.names {
            // What the table has ended before is not the last any more, even if it was due later.
            if isTold { accounts[name]?.abandonments.removeAll { silent[$0.abandonment.token] == nil } }
            accounts[name]?.abandonments.append(Abandoned(at: instant, abandonment: abandonment))
            accounts[name]?.abandonments.sort { ($0.at, $0.abandonment.token) < ($1.at, $1.abandonment.token) }
        }
        vacate(holder, at: instant)
    }

    /// The leases of a session end without a word.
    mutating func abandonLeases(of id: SessionID) {
        let leases = (clients[id]?.leases ?? []).compactMap { holders[$0] }
        // What has expired before has ended before.
        for lease in leases.sorted(by: { $0.deadline ?? .distantFuture < $1.deadline ?? .distantFuture }) {
            let hasExpired = lease.deadline.map { $0 <= now } ?? false
            if hasExpired { totals.expired += 1 } else { totals.ended += 1 }
            let instant = hasExpired ? lease.deadline ?? now : now
            abandon(lease, hasExpired ? .expired : .ended, at: instant, isTold: false)
            silent[lease.token] = SilentLease(at: instant, holder: lease)
            silentCount += 1
        }
    }

    mutating func move(_ token: FencingToken, to timeToLive: Milliseconds?) {
        guard let timeToLive else { return }
        holders[token]?.timeToLive = timeToLive
        setDeadline(of: token, to: now + timeToLive)
    }

    mutating func setDeadline(of token: FencingToken, to instant: MonotonicInstant) {
        guard let holder = holders[token] else { return }
        if let former = holder.deadline { remove(Due(instant: former, isOfWait: false)) }
        holders[token]?.deadline = instant
        insert(Due(instant: instant, isOfWait: false))
    }

    func deadline(of request: AcquireRequest) -> MonotonicInstant? {
        switch request.wait {
        case .after(let length): now + length
        case .none, .never: nil
        }
    }

    /// Waits for the session of a wait until `end`, or no longer.
    mutating func setGrace(of number: Int, to end: MonotonicInstant?) {
        if let former = waits[number]?.end { remove(Due(instant: former, isOfWait: true)) }
        waits[number]?.graceEnd = end
        if let end = waits[number]?.end { insert(Due(instant: end, isOfWait: true)) }
    }

    private mutating func insert(_ deadline: Due) {
        deadlines.insert(deadline, at: place(of: deadline))
    }

    private mutating func remove(_ deadline: Due) {
        deadlines.remove(at: place(of: deadline))
    }

    private func place(of deadline: Due) -> Int {
        var (low, high) = (0, deadlines.count)
        while low < high {
            let middle = (low + high) / 2
            if deadlines[middle] < deadline { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
