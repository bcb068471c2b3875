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
        var holder: Holder?
        /// When the last holder ceased to hold the name, if nobody was granted it since.
        var vacatedAt: MonotonicInstant?
        var queue: [Wait] = []
    }

    struct Client {
        var user: UserID
        var isDraining = false
        var leases: Set<LockName> = []
        var waitCount = 0
        /// What waits under which tag.
        var tags: [Tag: LockName] = [:]
    }

    let limits: Limits
    var accounts: [LockName: Account] = [:]
    var clients: [SessionID: Client] = [:]
    /// The deadlines of all leases and waits, in ascending order.
    var deadlines: [MonotonicInstant] = []
    /// Names whose holder's session has ended, that others wait for, and that nobody was granted since.
    var owed: Set<LockName> = []
    /// Names whose holder's session has ended and that nobody waits for.
    ///
    /// Nothing says when the table has noticed.
    var abandoned: Set<LockName> = []
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
    /// How many endings the effects have shown, and of leases on which names.
    var endingCount = 0
    var vacated: [LockName] = []

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
        (asking, revokedToken, cancelledTag, endingCount, vacated) = (nil, nil, nil, 0, [])
        begin()
        for effect in effects { try observe(effect) }
        try finish(effects)
    }

    /// Looks at the instant at which the table says that time will change it.
    mutating func observe(nextDeadline: MonotonicInstant?) throws(Complaint) {
        if let nextDeadline, nextDeadline <= now, !(owed.isEmpty && abandoned.isEmpty) {
            if case .timePassed = event {
                let endings = endingCount + abandoned.count
                try require(endings >= limits.endingsPerTurn, "there was more to work off")
            }
            return
        }
        try require(owed.isEmpty, "forgotten: \(owed) are free and waited for, and nothing is due")
        abandoned = []
        try require(
            nextDeadline == deadlines.first,
            "the next deadline is \(deadlines.first as Any), not \(nextDeadline as Any)"
        )
    }

    /// Looks at all lines of a listing.
    func observe(listing lines: [LockTable.Line]) throws(Complaint) {
        var listed: [LockName: (token: FencingToken?, sessions: [SessionID])] = [:]
        for line in lines {
            switch line {
            case .lease(let lease):
                try require(listed[lease.name] == nil, "\(lease.name) is listed twice")
                listed[lease.name] = (lease.token, [])
            case .waiter(let waiter):
                listed[waiter.name, default: (nil, [])].sessions.append(waiter.session)
                let place = listed[waiter.name]?.sessions.count
                try require(place == waiter.position, "\(waiter.name) has a waiter at \(waiter.position)")
            }
        }
        let inUse = accounts.filter { $0.value.holder != nil || !$0.value.queue.isEmpty }
        try require(listed.count == inUse.count, "\(listed.count) names are listed, not \(inUse.count)")
        for (name, account) in inUse {
            let sessions = account.queue.map(\.request.id.session)
            try require(listed[name]?.token == account.holder?.token, "\(name) is listed with another lease")
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

    mutating func dequeue(_ name: LockName, at index: Int) {
        guard let wait = accounts[name]?.queue.remove(at: index) else { return }
        let id = wait.request.id
        if let deadline = wait.deadline { remove(deadline) }
        clients[id.session]?.waitCount -= 1
        if let tag = id.tag { clients[id.session]?.tags[tag] = nil }
        waitCount -= 1
        if owed.contains(name), accounts[name]?.queue.isEmpty == true {
            owed.remove(name)
            abandoned.insert(name)
        }
    }

    mutating func occupy(_ request: AcquireRequest, token: FencingToken) {
        let deadline = request.timeToLive.map { now + $0 }
        accounts[request.name, default: Account()].holder = Holder(
            request: request,
            token: token,
            timeToLive: request.timeToLive,
            deadline: deadline,
            grantedAt: now
        )
        accounts[request.name]?.vacatedAt = nil
        if let deadline { insert(deadline) }
        clients[request.id.session]?.leases.insert(request.name)
        leaseCount += 1
        owed.remove(request.name)
        abandoned.remove(request.name)
    }

    mutating func vacate(_ name: LockName, at instant: MonotonicInstant) {
        guard let holder = accounts[name]?.holder else { return }
        accounts[name]?.holder = nil
        accounts[name]?.vacatedAt = instant
        vacated.append(name)
        if let deadline = holder.deadline { remove(deadline) }
        clients[holder.request.id.session]?.leases.remove(name)
        leaseCount -= 1
    }

    /// The leases of a session end without a word.
    mutating func abandonLeases(of id: SessionID) {
        for name in clients[id]?.leases ?? [] {
            let deadline = accounts[name]?.holder?.deadline
            let hasExpired = deadline.map { $0 <= now } ?? false
            if hasExpired { totals.expired += 1 } else { totals.ended += 1 }
            vacate(name, at: hasExpired ? deadline ?? now : now)
            if accounts[name]?.queue.isEmpty == false { owed.insert(name) } else { abandoned.insert(name) }
        }
    }

    mutating func move(_ name: LockName, to timeToLive: Milliseconds?) {
        guard let timeToLive else { return }
        if let former = accounts[name]?.holder?.deadline { remove(former) }
        accounts[name]?.holder?.timeToLive = timeToLive
        accounts[name]?.holder?.deadline = now + timeToLive
        insert(now + timeToLive)
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
