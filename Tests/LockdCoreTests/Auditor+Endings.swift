import LockdCore
import LockdModel

/// How leases begin, and how they and waits end by time.
extension Auditor {
    mutating func granted(
        _ id: RequestID,
        _ names: LockNames,
        _ token: FencingToken,
        _ timeToLive: Milliseconds?,
        _ predecessor: Predecessor
    ) throws(Complaint) {
        try require(clients[id.session] != nil, "granted to \(id.session), which has ended")
        if holders[token] != nil { return try grantedBefore(id, names, token, timeToLive, predecessor) }
        try require(!grantsAreSuspended, "granted while nothing is")
        try require(
            clients[id.session]?.detachedAt == nil || event == .sessionAttached(id.session),
            "granted to \(id.session), which has no connection"
        )
        var (request, openSince): (AcquireRequest, MonotonicInstant)
        var arrivedAt = now
        var serial = requestCount
        if let first = names.lazy.compactMap({ accounts[$0]?.queue.first }).first, let wait = waits[first] {
            try require(wait.request.id == id && wait.names == names, "\(id) overtook \(wait.request.id) for \(names)")
            for name in names {
                try require(accounts[name]?.queue.first == first, "\(id) overtook somebody who waits for \(name)")
            }
            let tokens = names.map { accounts[$0]?.holders.map(\.token) ?? [] }
            guard let since = since(wait) else { throw Complaint("granted \(names) while \(tokens) hold it") }
            let isOver = wait.deadline.map { $0 < since } ?? false
            try require(!isOver || wait.mayBeLate, "granted after its wait was over")
            try requireOrder(ofGrantTo: wait, since: since)
            (request, openSince, serial, arrivedAt) = (wait.request, since, wait.serial, wait.since)
            dequeue(wait)
            grantCount += 1
        } else {
            (request, openSince) = (try answerAcquire(id), now)
            try require(request.names == names, "granted other names")
            for name in names {
                let account = accounts[name, default: Account()]
                let tokens = account.holders.map(\.token)
                try require(account.admits(request.holderLimit), "granted \(names) while \(tokens) hold \(name)")
            }
            try require(leasesOfItsOwner(request).isEmpty, "GRANTED instead of HELD")
            try requireRoomOfUser(for: request, waits: false, isFree: true)
        }
        try require(token > lastToken && token <= reservedThrough, "token \(token) after \(lastToken)")
        lastToken = token
        try require(request.timeToLive == timeToLive, "granted with another ttl")
        if request.holderLimit == .exclusive { forgetSilent(on: names) }
        occupy(request, token: token, since: openSince, serial)
        totals.granted += 1
        recordWait(for: names, since: arrivedAt)
        try requireLimits(of: id.session)
        try told(names, of: predecessor)
    }

    mutating func timedOut(
        _ id: RequestID,
        _ names: LockNames,
        _ waited: Milliseconds,
        _ holding: Holding?,
        _ waiterCount: Int
    ) throws(Complaint) {
        let mine = waits.values.filter { $0.request.id == id && $0.names == names && $0.deadline != nil }
        let next = mine.min { ($0.deadline ?? now, $0.number) < ($1.deadline ?? now, $1.number) }
        guard let wait = next, let deadline = wait.deadline else {
            throw Complaint("TIMEOUT of \(id), which does not wait for \(names) at \(now)")
        }
        try require(deadline <= now, "TIMEOUT before the wait is over")
        try require(wait.graceEnd.map { $0 >= deadline } ?? true, "TIMEOUT, but it was to be cancelled before")
        let wasOpen = wait.graceEnd == nil && since(wait).map { $0 <= deadline } ?? false
        try require(!wasOpen, "TIMEOUT, but \(names) was free in time")
        try requireOrder(of: Due(instant: deadline, isOfWait: true), on: names)
        try require(waited == now - wait.since, "TIMEOUT after another time")
        let obstacles = obstacles(to: wait)
        leave(wait, at: deadline)
        try requireSituation(obstacles, holding, waiterCount)
        endingCount += 1
        totals.timeouts += 1
    }

    mutating func lost(
        _ session: SessionID,
        _ names: LockNames,
        _ token: FencingToken,
        _ reason: LossReason
    ) throws(Complaint) {
        try require(clients[session] != nil, "LOST told to \(session), which has ended")
        guard let holder = holders[token], holder.session == session, holder.names == names else {
            throw Complaint("LOST \(names), which is not held so, at \(now) after \(event)")
        }
        switch reason {
        case .expired:
            guard let deadline = holder.deadline, deadline <= now else {
                throw Complaint("LOST before time, at \(now) after \(event)")
            }
            try requireOrder(of: Due(instant: deadline, isOfWait: false), on: names)
            abandon(holder, .expired, at: deadline)
            endingCount += 1
            totals.expired += 1
        case .revoked(let revoker, let why):
            guard case .revokeRequested(let id, let name, let asked, why) = event, id.session == revoker, id == asking
            else {
                throw Complaint("LOST by a revocation that was not asked for")
            }
            try requireSettled(LockNames(name))
            let lease = leaseAsked(name, asked)
            try require(lease?.token == token && mayRevoke(id, lease), "\(id) may not revoke \(name)")
            abandon(holder, .revoked, at: now)
            revokedToken = token
            totals.revoked += 1
        }
    }

    /// Whoever is granted names is told of a lease that was abandoned since the last one was told of one: on each of them of the last,
    /// and of these the one that was granted last.
    private mutating func told(_ names: LockNames, of predecessor: Predecessor) throws(Complaint) {
        let possible = names.map { remembered(of: $0) }
        guard case .abandoned(let abandonment) = predecessor else {
            return try require(possible.allSatisfy(\.mayBeNothing), "nobody is told that \(names) was abandoned")
        }
        let mine = possible.flatMap(\.lasts).first { $0.abandonment == abandonment }
        guard let mine else {
            throw Complaint("\(names) was not abandoned last like this: \(abandonment), at \(now) after \(event)")
        }
        for memory in possible {
            let isNoLater = memory.lasts.contains { $0.abandonment.token <= abandonment.token }
            try require(memory.mayBeNothing || isNoLater, "\(names) was abandoned by a lease that was granted later")
        }
        for name in names {
            // What the table has not noticed yet, it will remember from then on; or it has, and remembered another one instead.
            let abandonments = accounts[name]?.abandonments ?? []
            let isMine = abandonments.contains { $0.abandonment == abandonment }
            let rest = abandonments.compactMap { lease -> Abandoned? in
                if lease.abandonment == abandonment || !isSilent(lease) { return nil }
                var lease = lease
                if lease.at <= mine.at || !isMine { lease.mayGoUntold = true }
                return lease
            }
            accounts[name]?.abandonments = rest
        }
    }

    /// What the table may remember of those who held the name: of each of these leases that it was the last to go, or nothing.
    private func remembered(of name: LockName) -> (lasts: [Abandoned], mayBeNothing: Bool) {
        let abandonments = accounts[name]?.abandonments ?? []
        let certain = abandonments.filter { !isSilent($0) && !$0.mayGoUntold }
        // Of those that went at the same instant, each may be called the last.
        let last = certain.map(\.at).max()
        let lasts = abandonments.filter { isSilent($0) || $0.at >= last ?? $0.at }
        return (lasts, certain.isEmpty)
    }

    /// Whether the table may not have noticed yet.
    private func isSilent(_ lease: Abandoned) -> Bool { silent[lease.abandonment.token] != nil }
}
