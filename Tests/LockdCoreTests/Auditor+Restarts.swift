import LockdCore
import LockdModel

/// What an auditor expects of a table that goes on from what was written down of another one.
extension Auditor {
    /// Takes note that the next events go to another table, for which `detached` have no connection.
    mutating func noteRestart(_ downtime: Downtime, detached: Set<SessionID>) {
        (now, restoredAt) = (downtime.to, downtime.to)
        (workedOffCount, workedOffElsewhereCount) = (0, 0)
        // What is buffered, it is told anew.
        buffered = [:]
        for holder in holders.values {
            guard let deadline = holder.deadline else { continue }
            setDeadline(of: holder.token, to: downtime.moved(deadline))
        }
        for token in holders.keys where holders[token]?.request.boundHolder != nil {
            // Nobody remembers that it had an owner.
            holders[token]?.request.terms.owner = nil
        }
        for id in detached where clients[id]?.detachedAt == nil { clients[id]?.detachedAt = now }
        for number in waits.keys { noteRestart(ofWait: number) }
        restartTimings()
        for name in accounts.keys {
            // Forgotten is who has left a name without releasing it; not so of a lease whose end the table has not noticed yet, if it has not.
            let rest = accounts[name]?.abandonments.filter { silent[$0.abandonment.token] != nil } ?? []
            accounts[name]?.abandonments = rest.map { lease in
                var lease = lease
                lease.mayGoUntold = true
                return lease
            }
        }
    }

    private mutating func noteRestart(ofWait number: Int) {
        guard let wait = waits[number] else { return }
        // It is told anew how it goes, and counts for what it is now.
        forgetTold(number)
        waits[number]?.wasFree = false
        waitLoad += (waits[number]?.load ?? 0) - wait.load
        waits[number]?.isPutOff = true
        setGrace(of: number, to: nil)
        openWaits.remove(number)
        if wait.openSince != nil { noteOpen(number) }
    }
}

/// What an auditor expects of sessions without a connection.
extension Auditor {
    /// Takes note that a wait would be granted: or its session is waited for.
    mutating func noteOpen(_ number: Int) {
        guard let wait = waits[number], let since = since(wait) else { return }
        guard let detachedAt = clients[wait.request.id.session]?.detachedAt, now >= suspendedUntil else {
            openWaits.insert(number)
            return
        }
        openWaits.remove(number)
        guard wait.graceEnd == nil else { return }
        setGrace(of: number, to: max(since, detachedAt, restoredAt) + limits.detachedGrace)
    }

    /// Since when a wait could have been granted, had its session a connection.
    func since(_ wait: Wait) -> MonotonicInstant? {
        if wait.graceEnd != nil, case .sessionAttached = event { return now }
        return wait.openSince.map { max($0, suspendedUntil) }
    }

    mutating func holdBack(_ id: SessionID) {
        if clients[id]?.detachedAt == nil { clients[id]?.detachedAt = now }
        for number in clients[id]?.waits ?? [] where openWaits.contains(number) { noteOpen(number) }
    }

    /// Takes note that a session has a connection again, after what was due before.
    mutating func attach(_ id: SessionID) {
        clients[id]?.resumedThrough = requestCount
        let wasDetached = clients[id]?.detachedAt != nil
        clients[id]?.detachedAt = nil
        for number in clients[id]?.waits ?? [] {
            forgetTold(number)
            guard wasDetached, waits[number]?.graceEnd != nil else { continue }
            setGrace(of: number, to: nil)
            waits[number]?.openSince = now
            openWaits.insert(number)
        }
    }

    /// Takes note that a wait is told anew how it goes.
    private mutating func forgetTold(_ number: Int) {
        waits[number]?.told = nil
        waits[number]?.toldAt = nil
    }

    /// The wait that ends because its session has not come back.
    func waitInVain(_ id: RequestID, _ names: LockNames) -> Wait? {
        let inVain = waits.values.filter { wait in
            wait.request.id == id && wait.names == names && wait.graceEnd.map { $0 <= now } ?? false
        }
        return inVain.min { $0.number < $1.number }
    }

    mutating func endInVain(_ wait: Wait, _ waited: Milliseconds) throws(Complaint) {
        guard let end = wait.graceEnd else { return }
        try require(wait.deadline.map { $0 > end } ?? true, "CANCELLED, but it had run out before")
        try requireOrder(of: Due(instant: end, isOfWait: true), on: wait.names)
        try require(waited == now - wait.since, "CANCELLED after another time")
        leave(wait, at: end)
        endingCount += 1
        vainCount += 1
        totals.cancelled += 1
    }

    func isDetached(_ id: SessionID) -> Bool { clients[id]?.detachedAt != nil }

    /// Whether it is a lease that is bound, and nothing else.
    func isBoundLease(_ id: SessionID) -> Bool { clients[id] != nil }

    func requireDetached(_ id: SessionID, _ detached: Milliseconds?) throws(Complaint) {
        try require(clients[id]?.detachedAt.map { now - $0 } == detached, "\(id) is listed as detached, or is not")
    }
}

/// What an auditor expects of requests that are sent again.
extension Auditor {
    /// Takes note of whether the request waits already.
    mutating func noteResending(of request: AcquireRequest) {
        guard let client = clients[request.id.session], let tag = request.id.tag,
            let number = client.tags[tag], let wait = waits[number], wait.serial <= client.resumedThrough,
            Set(wait.names) == Set(request.names)
        else { return }
        // There is no answer, but perhaps that of the one that was sent before.
        (asking, resentWait) = (nil, number)
        forgetTold(number)
    }

    /// The lease that the request became when it was sent before.
    func leaseFromBefore(_ request: AcquireRequest) -> Holder? {
        guard request.id.tag != nil, let through = clients[request.id.session]?.resumedThrough else { return nil }
        let leases = holders.values.filter { lease in
            lease.request.id == request.id && lease.serial <= through && Set(lease.names) == Set(request.names)
                && lease.deadline.map { $0 > now } ?? true
        }
        return leases.max { $0.serial < $1.serial }
    }

    mutating func grantedBefore(
        _ id: RequestID,
        _ names: LockNames,
        _ token: FencingToken,
        _ timeToLive: Milliseconds?,
        _ predecessor: Predecessor
    ) throws(Complaint) {
        guard case .acquireRequested(let request) = event, request.id == id else {
            throw Complaint("\(token) is granted again to \(id), which did not ask")
        }
        try answer(id, names)
        let lease = leaseFromBefore(request)
        try require(lease?.token == token && lease?.names == names, "GRANTED again, but it was not")
        try require(lease?.timeToLive == timeToLive, "GRANTED again, with another ttl")
        try require(predecessor == .unremarkable, "GRANTED again, after somebody else")
    }
}

/// What an auditor expects while nothing is granted.
extension Auditor {
    var grantsAreSuspended: Bool { now < suspendedUntil }

    func mustWait(_ request: AcquireRequest) -> Bool { grantsAreSuspended || !obstacles(to: request).isEmpty }

    mutating func suspend(until instant: MonotonicInstant) {
        suspendedUntil = max(suspendedUntil, instant)
        guard grantsAreSuspended else { return }
        for number in waits.keys where waits[number]?.graceEnd != nil {
            setGrace(of: number, to: nil)
            openWaits.insert(number)
        }
        for number in openWaits { waits[number]?.isPutOff = true }
    }

    /// Takes note that grants are suspended no longer: sessions are waited for, once the table has noticed.
    mutating func noteEndOfSuspension() {
        guard !grantsAreSuspended else { return }
        for number in openWaits {
            noteOpen(number)
            if waits[number]?.graceEnd != nil { unnoticedGraces.insert(number) }
        }
    }
}
