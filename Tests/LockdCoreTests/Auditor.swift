import LockdCore
import LockdModel

/// Why an auditor does not believe what it sees.
struct Complaint: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

/// Watches a lock table from outside: it knows the protocol, the events and the effects, and shares no code with the table.
///
/// It keeps the simplest account of who holds and who waits, and complains when an effect contradicts it, or when one is missing.
struct Auditor {
    /// Who holds a name, as far as the effects have said.
    struct Holder {
        var request: AcquireRequest
        var token: FencingToken
        var timeToLive: Milliseconds?
        var deadline: MonotonicInstant?
        var grantedAt: MonotonicInstant
    }

    /// A request that has no answer yet.
    struct Wait {
        var request: AcquireRequest
        var since: MonotonicInstant
        var deadline: MonotonicInstant?
    }

    /// What is known of a name.
    struct Account {
        /// In the order in which they were granted.
        var holders: [Holder] = []
        var queue: [Wait] = []
        /// Since when the first of the queue could have been granted.
        var openSince: MonotonicInstant?
        /// The leases that ended without having been released since the last grant that spoke of one, in the order in which they did.
        var abandonments: [Abandoned] = []

        /// Whether one more holder, with this limit, is no more than everybody tolerates.
        func admits(_ limit: HolderLimit) -> Bool {
            (holders.map(\.request.holderLimit) + [limit]).allSatisfy { holders.count < $0.count }
        }

        /// Whether a request with this limit need not wait.
        func isFree(for limit: HolderLimit) -> Bool { queue.isEmpty && admits(limit) }

        var isOpen: Bool { queue.first.map { admits($0.request.holderLimit) } ?? false }
    }

    /// A lease that nobody has been told of yet.
    struct Abandoned {
        var at: MonotonicInstant
        var abandonment: Abandonment
        /// Whether one that went at the same instant was spoken of instead, perhaps.
        var mayGoUntold = false
    }

    struct Client {
        var peer: Peer
        var isDraining = false
        var leases: [FencingToken: LockName] = [:]
        var waitCount = 0
        /// What waits under which tag.
        var tags: [Tag: LockName] = [:]
    }

    let limits: Limits
    var accounts: [LockName: Account] = [:]
    var clients: [SessionID: Client] = [:]
    /// The deadlines of all leases and waits, in ascending order.
    var deadlines: [MonotonicInstant] = []
    /// Names of which the first of the queue could be granted, and was not yet.
    var openNames: Set<LockName> = []
    /// How many leases on a name have ended with their session without a word.
    ///
    /// Nothing says when the table has noticed.
    var abandoned: [LockName: Int] = [:]
    var leaseCount = 0
    var waitCount = 0
    var lastToken = FencingToken(0)
    var reservedThrough: FencingToken
    var totals: Totals
    /// When the last thing that ``Event/timePassed`` has ended was due.
    var lastDue = MonotonicInstant(nanoseconds: .min)

    // The event that is being looked at, and what it has led to.
    var now = MonotonicInstant(nanoseconds: .min)
    var event = Event.timePassed
    /// The request that waits for an answer to the event, if the event makes one.
    var asking: RequestID?
    /// The lease that was taken away, until the revoker is told so.
    var revokedToken: FencingToken?
    /// The tag whose wait was cancelled, until the canceller is told so.
    var cancelledTag: Tag?
    /// How many endings the effects have shown, and how many grants from a queue.
    var endingCount = 0
    var grantCount = 0
    /// How many of those grants may have followed the end of a lease that had ended without a word, perhaps in an earlier event.
    var noticedCount = 0
    /// Which names the event has opened for the first of their queues.
    var opened: [LockName] = []

    /// An auditor that watches `table` from its beginning.
    init(of table: LockTable, reservedThrough: FencingToken) {
        limits = table.limits
        totals = table.totals
        self.reservedThrough = reservedThrough
    }

    /// Looks at one event and at all that came of it.
    mutating func observe(_ event: Event, at now: MonotonicInstant, _ effects: [Effect]) throws(Complaint) {
        self.now = now
        self.event = event
        (asking, revokedToken, cancelledTag, opened) = (nil, nil, nil, [])
        (endingCount, grantCount, noticedCount) = (0, 0, 0)
        begin()
        for effect in effects { try observe(effect) }
        try finish(effects)
    }

    /// Looks at the instant at which the table says that time will change it.
    mutating func observe(nextDeadline: MonotonicInstant?) throws(Complaint) {
        if let nextDeadline, nextDeadline <= now, !(openNames.isEmpty && abandoned.isEmpty) {
            if case .timePassed = event {
                let endings = endingCount + noticedCount + abandoned.values.reduce(0, +)
                let hasDoneEnough = endings >= limits.endingsPerTurn || grantCount >= limits.grantsPerTurn
                try require(hasDoneEnough, "there was more to work off")
            }
            return
        }
        try require(openNames.isEmpty, "forgotten: \(openNames) are free and waited for, and nothing is due")
        abandoned = [:]
        try require(
            nextDeadline == deadlines.first,
            "the next deadline is \(deadlines.first as Any), not \(nextDeadline as Any)"
        )
    }

    /// Looks at all lines of a listing.
    func observe(listing lines: [LockTable.Line]) throws(Complaint) {
        var listed: [LockName: (tokens: [FencingToken], sessions: [SessionID])] = [:]
        for line in lines {
            switch line {
            case .lease(let lease):
                try require(listed[lease.name]?.sessions.isEmpty != false, "a lease on \(lease.name) behind a waiter")
                listed[lease.name, default: ([], [])].tokens.append(lease.token)
            case .waiter(let waiter):
                listed[waiter.name, default: ([], [])].sessions.append(waiter.session)
                let place = listed[waiter.name]?.sessions.count
                try require(place == waiter.position, "\(waiter.name) has a waiter at \(waiter.position)")
            }
        }
        let inUse = accounts.filter { !$0.value.holders.isEmpty || !$0.value.queue.isEmpty }
        try require(listed.count == inUse.count, "\(listed.count) names are listed, not \(inUse.count)")
        for (name, account) in inUse {
            let sessions = account.queue.map(\.request.id.session)
            try require(listed[name]?.tokens == account.holders.map(\.token), "\(name) is listed with other leases")
            try require(listed[name]?.sessions == sessions, "\(name) is listed with other waiters")
        }
    }

    /// Looks at a table that every session has left.
    func observeEnd(of table: LockTable) throws(Complaint) {
        try require(clients.isEmpty && waitCount == 0, "\(waitCount) requests got no answer")
        try require(leaseCount == 0 && deadlines.isEmpty, "\(leaseCount) leases did not end")
        try require(table.totals == totals, "the totals are \(totals), not \(table.totals)")
        let endings = totals.released + totals.expired + totals.revoked + totals.ended
        try require(totals.granted == endings, "\(totals.granted) leases began, \(endings) ended")
        try require(
            (table.lockCount, table.leaseCount, table.waiterCount) == (0, 0, 0),
            "something is left in the table"
        )
    }

    func require(_ condition: Bool, _ complaint: @autoclosure () -> String) throws(Complaint) {
        if !condition { throw Complaint("\(complaint()), at \(now) after \(event)") }
    }
}

/// The account of who holds and who waits.
extension Auditor {
    mutating func enqueue(_ request: AcquireRequest) {
        let deadline = deadline(of: request)
        accounts[request.name, default: Account()].queue.append(
            Wait(request: request, since: now, deadline: deadline)
        )
        if let deadline { insert(deadline) }
        clients[request.id.session]?.waitCount += 1
        if let tag = request.id.tag { clients[request.id.session]?.tags[tag] = request.name }
        waitCount += 1
    }

    /// Takes a wait out of the queue; what that opens is for the caller to say.
    mutating func dequeue(_ name: LockName, at index: Int) {
        guard let wait = accounts[name]?.queue.remove(at: index) else { return }
        let id = wait.request.id
        if let deadline = wait.deadline { remove(deadline) }
        clients[id.session]?.waitCount -= 1
        if let tag = id.tag { clients[id.session]?.tags[tag] = nil }
        waitCount -= 1
    }

    /// Notes whether the first of the queue could be granted, if it could not before since `instant`.
    mutating func noteWhetherOpen(_ name: LockName, since instant: MonotonicInstant) {
        guard let account = accounts[name], account.isOpen else {
            accounts[name]?.openSince = nil
            openNames.remove(name)
            return
        }
        if account.openSince != nil { return }
        accounts[name]?.openSince = instant
        openNames.insert(name)
        if case .sessionEnded = event { return }
        opened.append(name)
    }

    mutating func occupy(_ request: AcquireRequest, token: FencingToken) {
        let deadline = request.timeToLive.map { now + $0 }
        accounts[request.name, default: Account()].holders.append(
            Holder(
                request: request,
                token: token,
                timeToLive: request.timeToLive,
                deadline: deadline,
                grantedAt: now
            )
        )
        if let deadline { insert(deadline) }
        clients[request.id.session]?.leases[token] = request.name
        leaseCount += 1
        noteWhetherOpen(request.name, since: now)
    }

    mutating func vacate(_ name: LockName, _ token: FencingToken, at instant: MonotonicInstant) {
        guard let index = accounts[name]?.holders.firstIndex(where: { $0.token == token }),
            let holder = accounts[name]?.holders.remove(at: index)
        else { return }
        if let deadline = holder.deadline { remove(deadline) }
        clients[holder.request.id.session]?.leases[token] = nil
        leaseCount -= 1
        noteWhetherOpen(name, since: instant)
    }

    /// Takes note that a lease has ended at `instant` and was not released.
    mutating func abandon(
        _ name: LockName,
        _ token: FencingToken,
        _ ending: Abandonment.Ending,
        at instant: MonotonicInstant
    ) {
        guard let holder = holder(of: name, token), let peer = clients[holder.request.id.session]?.peer else { return }
        let abandonment = Abandonment(
            ending,
            token: token,
            process: peer.process,
            user: peer.user,
            command: peer.command,
            held: instant - holder.grantedAt,
            note: holder.request.note
        )
        accounts[name]?.abandonments.append(Abandoned(at: instant, abandonment: abandonment))
        accounts[name]?.abandonments.sort { ($0.at, $0.abandonment.token) < ($1.at, $1.abandonment.token) }
        vacate(name, token, at: instant)
    }

    /// The leases of a session end without a word.
    mutating func abandonLeases(of id: SessionID) {
        let leases = (clients[id]?.leases ?? [:]).map { token, name in
            (token: token, name: name, deadline: holder(of: name, token)?.deadline)
        }
        // What has expired before has ended before.
        for lease in leases.sorted(by: { $0.deadline ?? .distantFuture < $1.deadline ?? .distantFuture }) {
            let hasExpired = lease.deadline.map { $0 <= now } ?? false
            if hasExpired { totals.expired += 1 } else { totals.ended += 1 }
            abandon(
                lease.name,
                lease.token,
                hasExpired ? .expired : .ended,
                at: hasExpired ? lease.deadline ?? now : now
            )
            abandoned[lease.name, default: 0] += 1
        }
    }

    mutating func move(_ name: LockName, _ token: FencingToken, to timeToLive: Milliseconds?) {
        guard let timeToLive, let index = accounts[name]?.holders.firstIndex(where: { $0.token == token }) else {
            return
        }
        if let former = accounts[name]?.holders[index].deadline { remove(former) }
        accounts[name]?.holders[index].timeToLive = timeToLive
        accounts[name]?.holders[index].deadline = now + timeToLive
        insert(now + timeToLive)
    }

    func holder(of name: LockName, _ token: FencingToken) -> Holder? {
        accounts[name]?.holders.first { $0.token == token }
    }

    func deadline(of request: AcquireRequest) -> MonotonicInstant? {
        switch request.wait {
        case .after(let length): now + length
        case .none, .never: nil
        }
    }

    private mutating func insert(_ deadline: MonotonicInstant) {
        deadlines.insert(deadline, at: place(of: deadline))
    }

    private mutating func remove(_ deadline: MonotonicInstant) {
        deadlines.remove(at: place(of: deadline))
    }

    private func place(of deadline: MonotonicInstant) -> Int {
        var (low, high) = (0, deadlines.count)
        while low < high {
            let middle = (low + high) / 2
            if deadlines[middle] < deadline { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
