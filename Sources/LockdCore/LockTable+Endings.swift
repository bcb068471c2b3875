import LockdModel

/// How leases and waits begin and end.
extension LockTable {
    /// The slot of the lock on `name` after everything due on it has ended, or nothing if the name is free.
    mutating func settledSlot(of name: LockName, _ effects: inout [Effect]) -> Int? {
        guard let slot = slots[name] else { return nil }
        settle(slot, &effects)
        return locks.isOccupied(slot) ? slot : nil
    }

    /// Ends everything that is due on the lock, in the order in which it was due, and grants whose turn it is.
    mutating func settle(_ slot: Int, _ effects: inout [Effect]) {
        if nextDeadline.map({ $0 > lastInstant }) ?? true { return }
        while endFirst(on: slot, dueBy: lastInstant, &effects) {}
    }

    /// Grants the lock to the request at the head of its queue if it may have it, or forgets the lock if it is idle.
    mutating func grantHead(of slot: Int, _ effects: inout [Effect]) {
        while locks[slot].admitsHead, let arrival = locks[slot].queue.first, let waiter = waiters[arrival] {
            remove(waiter)
            grant(waiter.request, arrivedAs: arrival, on: slot, &effects)
        }
        forgetIfIdle(slot)
    }

    mutating func grant(
        _ request: AcquireRequest,
        arrivedAs arrival: Arrival,
        on slot: Int,
        _ effects: inout [Effect]
    ) {
        precondition(tokensLeft > 0, "no token is left through \(reservedThrough)")
        let token = nextToken
        nextToken = FencingToken(token.value + 1)
        let deadline = request.timeToLive.map { lastInstant + $0 }
        leases[token] = Lease(
            token: token,
            arrival: arrival,
            lock: slot,
            session: request.id.session,
            owner: Owner(of: request),
            note: request.note,
            grantedAt: lastInstant,
            timeToLive: request.timeToLive,
            deadline: deadline
        )
        locks[slot].holders.append(token)
        change(request.id.session) { $0.leases.append(token) }
        if let deadline { deadlines.set(.lease(token), to: deadline) }
        totals.granted += 1
        effects.append(
            .sendGranted(request.id, request.name, token: token, timeToLive: request.timeToLive)
        )
    }

    /// Takes a lease out of the table.
    ///
    /// The lock may be idle then: ``grantHead(of:_:)`` follows.
    mutating func end(_ lease: Lease) {
        leases[lease.token] = nil
        locks[lease.lock].holders.remove(lease.token)
        change(lease.session) { $0.leases.remove(lease.token) }
        if lease.deadline != nil { deadlines.remove(.lease(lease.token)) }
    }

    /// Takes a wait out of the table.
    ///
    /// The lock may be idle then.
    mutating func remove(_ waiter: Waiter) {
        waiters[waiter.arrival] = nil
        locks[waiter.lock].queue.remove(waiter.arrival)
        change(waiter.request.id.session) { session in
            session.waiters.remove(waiter.arrival)
            if let tag = waiter.request.id.tag { session.arrivalsByTag[tag] = nil }
        }
        if waiter.deadline != nil {
            deadlines.remove(.wait(waiter.arrival))
            locks[waiter.lock].waitDeadlines.remove(.wait(waiter.arrival))
        }
    }

    mutating func cancel(_ waiter: Waiter, _ effects: inout [Effect]) {
        remove(waiter)
        totals.cancelled += 1
        effects.append(
            .sendCancelled(waiter.request.id, waiter.request.name, waited: lastInstant - waiter.since)
        )
        forgetIfIdle(waiter.lock)
    }

    mutating func endInput(of id: SessionID, _ effects: inout [Effect]) {
        precondition(session(id).state == .open, "the input of session \(id) has ended already")
        for arrival in Array(session(id).waiters) {
            // What was due before the input ended has ended before.
            if let waiter = waiters[arrival] { settle(waiter.lock, &effects) }
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

    /// Works off what is due, in the order in which it was due.
    mutating func workOff(_ effects: inout [Effect]) {
        for _ in 0..<limits.endingsPerTurn {
            guard let (slot, instant) = nextDue, instant <= lastInstant else { return }
            _ = endFirst(on: slot, dueBy: instant, &effects)
        }
    }

    /// The lock on which something is due next, and when that is.
    var nextDue: (slot: Int, instant: MonotonicInstant)? {
        let deadline = deadlines.earliest
        if let id = endings.first, let session = sessions[id], case .ended(let endedAt) = session.state,
            let lease = session.leases.first.flatMap({ leases[$0] }), endedAt <= deadline?.instant ?? endedAt
        {
            return (lease.lock, endedAt)
        }
        guard let deadline, let slot = lock(of: deadline.subject) else { return nil }
        return (slot, deadline.instant)
    }

    /// Who holds the lock, unless that is a session that has ended, and how many wait.
    func situation(at slot: Int) -> (holder: Holding?, waiterCount: Int) {
        let waiterCount = locks[slot].queue.count
        guard let token = locks[slot].holders.first, let lease = leases[token], !hasEnded(lease.session) else {
            return (nil, waiterCount)
        }
        return (Holding(session: lease.session, held: lastInstant - lease.grantedAt), waiterCount)
    }

    /// Ends what is due first on the lock, if it is due by `instant`; a lease before a wait if they are due together.
    private mutating func endFirst(
        on slot: Int,
        dueBy instant: MonotonicInstant,
        _ effects: inout [Effect]
    ) -> Bool {
        guard locks.isOccupied(slot) else { return false }
        let wait = locks[slot].waitDeadlines.earliest
        if let token = locks[slot].holders.first, let lease = leases[token], let due = dueInstant(of: lease),
            due <= min(instant, wait?.instant ?? instant)
        {
            endDue(lease, &effects)
            grantHead(of: slot, &effects)
            return true
        }
        if let wait, wait.instant <= instant, case .wait(let arrival) = wait.subject, let waiter = waiters[arrival] {
            timeOut(waiter, &effects)
            return true
        }
        return false
    }

    private mutating func timeOut(_ waiter: Waiter, _ effects: inout [Effect]) {
        remove(waiter)
        totals.timeouts += 1
        let (holder, waiterCount) = situation(at: waiter.lock)
        effects.append(
            .sendTimedOut(
                waiter.request.id,
                waiter.request.name,
                waited: lastInstant - waiter.since,
                holder: holder,
                waiterCount: waiterCount
            )
        )
    }

    /// When the lease ends if nobody does anything about it, or ended without having been worked off.
    private func dueInstant(of lease: Lease) -> MonotonicInstant? {
        guard let endedAt = endInstant(of: lease.session) else { return lease.deadline }
        return min(endedAt, lease.deadline ?? endedAt)
    }

    /// Ends a lease that is due: it expired if its deadline came first, else its session ended.
    private mutating func endDue(_ lease: Lease, _ effects: inout [Effect]) {
        if let endedAt = endInstant(of: lease.session) {
            // There is nobody left to tell.
            let expired = lease.deadline.map { $0 <= endedAt } ?? false
            if expired { totals.expired += 1 } else { totals.ended += 1 }
            end(lease)
            if sessions[lease.session]?.leases.isEmpty == true { forget(lease.session) }
        } else {
            totals.expired += 1
            effects.append(
                .sendLost(lease.session, locks[lease.lock].name, token: lease.token, reason: .expired)
            )
            end(lease)
        }
    }

    /// Forgets an ended session whose leases have all been worked off.
    private mutating func forget(_ id: SessionID) {
        sessions[id] = nil
        // Requests for the names of ended sessions end their leases out of turn, so others may be over that ended later.
        while let first = endings.first, sessions[first] == nil { endings.removeFirst() }
    }

    private func lock(of subject: Deadline.Subject) -> Int? {
        switch subject {
        case .lease(let token): leases[token]?.lock
        case .wait(let arrival): waiters[arrival]?.lock
        }
    }

    private mutating func forgetIfIdle(_ slot: Int) {
        guard locks[slot].isIdle else { return }
        slots[locks[slot].name] = nil
        locks.remove(at: slot)
    }
}
