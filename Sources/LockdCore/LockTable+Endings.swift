import LockdModel

/// How leases and waits begin and end.
extension LockTable {
    /// The slot of the lock on `name` after everything due on it has ended, or nothing if the name is free.
    mutating func settledSlot(of name: LockName, _ effects: inout [Effect]) -> Int? {
        guard let slot = slots[name] else { return nil }
        settle(slot, &effects)
        return slots[name]
    }

    /// Ends every lease on the lock that is due, and grants whose turn it is, as if that had happened in time.
    mutating func settle(_ slot: Int, _ effects: inout [Effect]) {
        while let lock = locks.element(at: slot), let held = lock.holders.first, let lease = leases[held],
            let vacatedAt = dueInstant(of: lease)
        {
            endDue(lease, &effects)
            grantHead(of: slot, vacatedAt: vacatedAt, &effects)
        }
    }

    /// Grants the lock to the oldest request that could still wait at `vacatedAt`, or forgets the lock if it is idle.
    ///
    /// Requests that were over by then leave the queue on the way.
    mutating func grantHead(of slot: Int, vacatedAt: MonotonicInstant, _ effects: inout [Effect]) {
        while locks[slot].admitsHead, let arrival = locks[slot].queue.first, let waiter = waiters[arrival] {
            if let deadline = waiter.deadline, deadline < vacatedAt {
                timeOut(waiter, &effects)
            } else {
                remove(waiter)
                grant(waiter.request, on: slot, &effects)
            }
        }
        forgetIfIdle(slot)
    }

    mutating func grant(_ request: AcquireRequest, on slot: Int, _ effects: inout [Effect]) {
        precondition(tokensLeft > 0, "no token is left through \(reservedThrough)")
        let token = nextToken
        nextToken = FencingToken(token.value + 1)
        let deadline = request.timeToLive.map { lastInstant + $0 }
        leases[token] = Lease(
            token: token, lock: slot, session: request.id.session, owner: Owner(of: request), note: request.note,
            grantedAt: lastInstant, timeToLive: request.timeToLive, deadline: deadline)
        locks[slot].holders.append(token)
        change(request.id.session) { $0.leases.append(token) }
        if let deadline { deadlines.insert(Deadline(instant: deadline, subject: .lease(token))) }
        totals.granted += 1
        effects.append(
            .sendGranted(request.id, request.name, token: token, timeToLive: request.timeToLive))
    }

    /// Takes a lease out of the table. The lock may be idle then: ``grantHead(of:vacatedAt:_:)`` follows.
    mutating func end(_ lease: Lease) {
        leases[lease.token] = nil
        locks[lease.lock].holders.remove(lease.token)
        change(lease.session) { $0.leases.remove(lease.token) }
        if lease.deadline != nil { deadlines.invalidateOne(leases: leases, waiters: waiters) }
    }

    /// Takes a wait out of the table. The lock may be idle then.
    mutating func remove(_ waiter: Waiter) {
        waiters[waiter.arrival] = nil
        locks[waiter.lock].queue.remove(waiter.arrival)
        change(waiter.request.id.session) { session in
            session.waiters.remove(waiter.arrival)
            if let tag = waiter.request.id.tag { session.arrivalsByTag[tag] = nil }
        }
        if waiter.deadline != nil { deadlines.invalidateOne(leases: leases, waiters: waiters) }
    }

    mutating func cancel(_ waiter: Waiter, _ effects: inout [Effect]) {
        remove(waiter)
        totals.cancelled += 1
        effects.append(
            .sendCancelled(waiter.request.id, waiter.request.name, waited: lastInstant - waiter.since))
        forgetIfIdle(waiter.lock)
    }

    /// Ends the wait if its time has run out. The lock is settled.
    mutating func expireIfDue(_ arrival: Arrival, _ effects: inout [Effect]) {
        guard let waiter = waiters[arrival], let deadline = waiter.deadline, deadline <= lastInstant else { return }
        timeOut(waiter, &effects)
    }

    mutating func endInput(of id: SessionID, _ effects: inout [Effect]) {
        precondition(session(id).state == .open, "the input of session \(id) has ended already")
        for arrival in Array(session(id).waiters.all) {
            // What was due before the input ended has ended before.
            if let waiter = waiters[arrival] { settle(waiter.lock, &effects) }
            expireIfDue(arrival, &effects)
            if let waiter = waiters[arrival] { cancel(waiter, &effects) }
        }
        change(id) { $0.state = .draining }
    }

    mutating func end(_ id: SessionID) {
        let session = session(id)
        precondition(session.state == .draining, "the input of session \(id) has not ended")
        if session.leases.isEmpty {
            sessions[id] = nil
        } else {
            let now = lastInstant
            change(id) { $0.state = .ended(at: now) }
            endings.append(id)
        }
    }

    /// Works off what is due: deadlines in their order, then the leases of ended sessions.
    mutating func workOff(_ effects: inout [Effect]) {
        var budget = limits.endingsPerTurn
        while budget > 0, let deadline = deadlines.earliest(leases: leases, waiters: waiters),
            deadline.instant <= lastInstant
        {
            switch deadline.subject {
            case .lease(let token):
                if let lease = leases[token] { settle(lease.lock, &effects) }
            case .wait(let arrival):
                if let waiter = waiters[arrival] { settle(waiter.lock, &effects) }
                expireIfDue(arrival, &effects)
            }
            budget -= 1
        }
        while budget > 0, let id = endings.first {
            if let token = sessions[id]?.leases.first, let lease = leases[token] {
                settle(lease.lock, &effects)
                budget -= 1
            } else {
                endings.removeFirst()
            }
        }
    }

    /// Who holds the lock, and how many wait.
    func situation(at slot: Int) -> (holder: Holding?, waiterCount: Int) {
        let lock = locks[slot]
        let lease = lock.holders.first.flatMap { leases[$0] }
        return (lease.map { Holding(session: $0.session, held: lastInstant - $0.grantedAt) }, lock.queue.count)
    }

    private mutating func timeOut(_ waiter: Waiter, _ effects: inout [Effect]) {
        remove(waiter)
        totals.timeouts += 1
        let (holder, waiterCount) = situation(at: waiter.lock)
        effects.append(
            .sendTimedOut(
                waiter.request.id, waiter.request.name, waited: lastInstant - waiter.since, holder: holder,
                waiterCount: waiterCount))
    }

    /// When the lease should have ended, if that is not later than now.
    private func dueInstant(of lease: Lease) -> MonotonicInstant? {
        let expiry = lease.deadline.flatMap { $0 <= lastInstant ? $0 : nil }
        if case .ended(let endedAt) = sessions[lease.session]?.state { return min(endedAt, expiry ?? endedAt) }
        return expiry
    }

    /// Ends a lease that is due: it expired if its deadline came first, else its session ended.
    private mutating func endDue(_ lease: Lease, _ effects: inout [Effect]) {
        if case .ended(let endedAt) = sessions[lease.session]?.state {
            // There is nobody left to tell.
            let expired = lease.deadline.map { $0 <= endedAt } ?? false
            if expired { totals.expired += 1 } else { totals.ended += 1 }
            end(lease)
            if sessions[lease.session]?.leases.isEmpty == true { sessions[lease.session] = nil }
        } else {
            totals.expired += 1
            effects.append(
                .sendLost(lease.session, locks[lease.lock].name, token: lease.token, reason: .expired))
            end(lease)
        }
    }

    private mutating func forgetIfIdle(_ slot: Int) {
        guard locks[slot].isIdle else { return }
        slots[locks[slot].name] = nil
        locks.remove(at: slot)
    }
}
