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
    /// What the table takes on now, and the most that it has taken on.
    private(set) var limits: Limits
    private(set) var largestLimits: Limits
    var accounts: [LockName: Account] = [:]
    var clients: [SessionID: Client] = [:]
    /// Who holds, as far as the effects have said.
    var holders: [FencingToken: Holder] = [:]
    /// The requests that have no answer yet, by their arrival.
    var waits: [Int: Wait] = [:]
    var lastArrival = 0
    /// How many leases were asked for.
    var requestCount = 0
    /// Nothing is granted before.
    var suspendedUntil = MonotonicInstant(nanoseconds: .min)
    /// The waits that are waited for since grants are suspended no longer, unless the table has not noticed yet.
    var unnoticedGraces: Set<Int> = []
    /// How often a detached session was waited for in vain.
    var vainCount = 0
    /// When the table was made, if it goes on from another one.
    var restoredAt = MonotonicInstant(nanoseconds: .min)
    /// What is watched because leases or waits are bound to it.
    var bindings: Set<SessionID> = []
    /// What is buffered for the sessions of each user.
    var buffered: [UserID: Int] = [:]
    /// The deadlines of all leases and waits, in ascending order.
    var deadlines: [Due] = []
    /// The waits that could be granted, and were not yet.
    var openWaits: Set<Int> = []
    /// The leases that ended with their session without a word, those left out of which it is certain that the table has ended them, too.
    var silent: [FencingToken: SilentLease] = [:]
    /// How many of them the table has not ended yet.
    var silentCount = 0
    /// How many leases there are in the table.
    var tableLeaseCount: Int
    /// How many of the leases that may be there there are: one on several names counts for each of them, and so does a wait that may add to them.
    var (leaseLoad, waitLoad) = (0, 0)
    var lastToken = FencingToken(0)
    var reservedThrough: FencingToken
    var totals: Totals
    /// When the last thing that ``Event/timePassed`` has ended was due.
    var lastDue = MonotonicInstant(nanoseconds: .min)
    /// How much of what was due at this instant requests may have worked off: all of it, and what was surely not due on a name of their own.
    var (workedOffCount, workedOffElsewhereCount) = (0, 0)
    /// Whether requests may have come before something that was due earlier, on names that are claimed together, and is due still.
    var isBehind = false

    /// How long leases were waited for and held; the same of some names, in the order in which they came to be counted alone, and because of which user.
    var timing = Timing()
    var namedTimings: [LockName: Timing] = [:]
    var (timedNames, namedTimingUsers): ([LockName], [UserID]) = ([], [])

    // The event that is being looked at, and what it has led to.
    var now = MonotonicInstant(nanoseconds: .min)
    var event = Event.timePassed
    /// The request that waits for an answer to the event, if the event makes one.
    var asking: RequestID?
    /// The lease that was taken away, until the revoker is told so.
    var revokedToken: FencingToken?
    /// The wait that the request of the event is, which was sent again.
    var resentWait: Int?
    /// What the request was told first that waits from now on.
    var firstReport: Queueing?
    /// The tag whose wait was cancelled, until the canceller is told so.
    var cancelledTag: Tag?
    /// How many endings the effects have shown, and how many grants from a queue.
    var endingCount = 0
    var grantCount = 0
    /// How many leases have ended in this event without a word.
    var silentEndingCount = 0
    /// Whether something that was to be granted before the event had been put off, perhaps.
    var hadOpenWaits = false
    /// The names that the event is about, and those of them that were part of several names that are claimed together: surely, or perhaps.
    var subjects: Set<LockName> = []
    var (tied, perhapsTied): (Set<LockName>, Set<LockName>) = ([], [])

    /// An auditor that watches `table` from its beginning.
    init(of table: LockTable, reservedThrough: FencingToken) {
        limits = table.limits
        largestLimits = table.limits
        totals = table.totals
        tableLeaseCount = table.leaseCount
        self.reservedThrough = reservedThrough
    }

    /// Looks at one event, at all that came of it, and at how many leases there are then.
    mutating func observe(
        _ event: Event,
        at now: MonotonicInstant,
        _ effects: [Effect],
        leaseCount: Int
    ) throws(Complaint) {
        if now != self.now { (workedOffCount, workedOffElsewhereCount) = (0, 0) }
        self.now = now
        self.event = event
        (asking, revokedToken, cancelledTag, firstReport, resentWait) = (nil, nil, nil, nil, nil)
        (endingCount, grantCount) = (0, 0)
        hadOpenWaits = !openWaits.isEmpty
        silentEndingCount = max(0, tableLeaseCount + effects.changeOfLeaseCount(since: lastToken) - leaseCount)
        noteEndOfSuspension()
        noteSubjects()
        begin()
        let knewAllSilent = silentCount == silent.count
        for effect in effects { try observe(effect) }
        try finish(effects)
        try requireNobodyForgotten()
        tableLeaseCount = leaseCount
        try count(knewAllSilent: knewAllSilent)
        try requireNobodyForgotten()
        try requireNothingBoundForNothing()
        let isDue = silentCount > 0 || !openWaits.isEmpty || deadlines.first.map { $0.instant <= now } ?? false
        isBehind = isDue && (isBehind || hasWorkLeft)
    }

    /// Takes note that the table takes on as much as `limits` say from now on.
    mutating func observe(_ limits: Limits) {
        self.limits = limits
        largestLimits.leases = max(largestLimits.leases, limits.leases)
        largestLimits.leasesPerSession = max(largestLimits.leasesPerSession, limits.leasesPerSession)
        largestLimits.waiters = max(largestLimits.waiters, limits.waiters)
        largestLimits.waitersPerSession = max(largestLimits.waitersPerSession, limits.waitersPerSession)
    }

    /// Looks at the instant at which the table says that time will change it.
    mutating func observe(nextDeadline: MonotonicInstant?) throws(Complaint) {
        let isPast = nextDeadline.map { $0 <= now } ?? false
        if !unnoticedGraces.isEmpty, isPast { return }
        unnoticedGraces = []
        if case .timePassed = event, isPast {
            // Whatever was put off counts, and each time at least one was granted.
            let endings = endingCount + silentEndingCount + (hadOpenWaits ? grantCount : 0)
            let hasDoneEnough = endings >= limits.endingsPerTurn || grantCount >= limits.grantsPerTurn
            try require(hasDoneEnough, "there was more to work off")
        }
        if silentCount == 0, !openWaits.isEmpty, grantsAreSuspended {
            let due = min(suspendedUntil, deadlines.first?.instant ?? suspendedUntil)
            return try require(nextDeadline == due, "the next deadline is \(due), not \(nextDeadline as Any)")
        }
        if silentCount > 0 || !openWaits.isEmpty {
            return try require(
                isPast,
                "forgotten: there is more to work off than the next deadline says: \(silentCount) leases, \(openWaits.compactMap { waits[$0]?.request })"
            )
        }
        try require(
            nextDeadline == deadlines.first?.instant,
            "the next deadline is \(deadlines.first?.instant as Any), not \(nextDeadline as Any)"
        )
    }

    /// Looks at all lines of a listing.
    func observe(listing lines: [LockTable.Line]) throws(Complaint) {
        var listed: [LockName: (tokens: [FencingToken], sessions: [SessionID], nameCounts: [Int])] = [:]
        for line in lines {
            switch line {
            case .lease(let lease):
                try require(listed[lease.name]?.sessions.isEmpty != false, "a lease on \(lease.name) behind a waiter")
                listed[lease.name, default: ([], [], [])].tokens.append(lease.token)
                try require(lease.nameCount == holders[lease.token]?.names.count, "a lease on other names is listed")
                try requireDetached(lease.session, lease.detached)
            case .waiter(let waiter):
                listed[waiter.name, default: ([], [], [])].sessions.append(waiter.session)
                listed[waiter.name]?.nameCounts.append(waiter.nameCount)
                try requireDetached(waiter.session, waiter.detached)
                let place = listed[waiter.name]?.sessions.count
                try require(place == waiter.position, "\(waiter.name) has a waiter at \(waiter.position)")
            }
        }
        let inUse = accounts.filter { !$0.value.holders.isEmpty || !$0.value.queue.isEmpty }
        try require(listed.count == inUse.count, "\(listed.count) names are listed, not \(inUse.count)")
        for (name, account) in inUse {
            let requests = account.queue.compactMap { waits[$0]?.request }
            try require(listed[name]?.tokens == account.holders.map(\.token), "\(name) is listed with other leases")
            try require(
                listed[name]?.sessions == requests.map(\.id.session)
                    && listed[name]?.nameCounts == requests.map(\.names.count),
                "\(name) is listed with other waiters"
            )
        }
    }

    /// Looks at a table that every session has left.
    func observeEnd(of table: LockTable) throws(Complaint) {
        try require(clients.isEmpty && waits.isEmpty, "\(waits.count) requests got no answer")
        try require(bindings.isEmpty, "\(bindings.count) are bound for nothing")
        try require(holders.isEmpty && deadlines.isEmpty, "\(holders.count) leases did not end")
        try require(table.totals == totals, "the totals are \(totals), not \(table.totals)")
        let endings = totals.released + totals.expired + totals.revoked + totals.ended
        try require(totals.granted == endings, "\(totals.granted) leases began, \(endings) ended")
        try require(
            (table.lockCount, table.leaseCount, table.waiterCount, table.userCount) == (0, 0, 0, 0),
            "something is left in the table"
        )
    }

    func require(_ condition: Bool, _ complaint: @autoclosure () -> String) throws(Complaint) {
        if !condition { throw Complaint("\(complaint()), at \(now) after \(event)") }
    }
}

extension [Effect] {
    /// How many leases more there are after the effects, as far as they say.
    fileprivate func changeOfLeaseCount(since lastToken: FencingToken) -> Int {
        reduce(0) { count, effect in
            switch effect {
            // What was granted before is only said again.
            case .sendGranted(_, _, let token, _, _): token > lastToken ? count + 1 : count
            case .sendReleased, .sendLost: count - 1
            case .sendHeld, .sendBusy, .sendTimedOut, .sendCancelled, .sendRenewed, .sendNotHeld: count
            case .sendWaitCancelled, .sendNotWaiting, .sendRevoked, .sendDenied, .sendRefused: count
            case .sendDeadlock, .sendQueued, .unbind, .observe: count
            }
        }
    }
}
