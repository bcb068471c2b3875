import LockdModel

/// What sessions ask for.
extension LockTable {
    mutating func acquire(_ request: AcquireRequest, _ effects: inout [Effect]) {
        let id = request.id
        _ = state(of: id.session)
        if let tag = id.tag, settledWait(under: tag, of: id.session, &effects) != nil {
            return refuse(id, .tagInUse(tag), &effects)
        }
        let slot = settledSlot(of: request.name, &effects)
        guard let slot else { return acquireFree(request, &effects) }
        if let lease = lease(of: Owner(of: request), in: id.session, on: slot) {
            effects.append(.sendHeld(id, request.name, token: lease.token, timeToLive: lease.timeToLive))
        } else if request.wait == .none || state(of: id.session) != .open {
            totals.busy += 1
            let (holder, waiterCount) = situation(at: slot)
            effects.append(.sendBusy(id, request.name, holder: holder, waiterCount: waiterCount))
        } else if let refusal = refusalToQueue(in: id.session) {
            refuse(id, refusal, &effects)
        } else {
            enqueue(request, on: slot)
        }
    }

    mutating func release(
        _ id: RequestID,
        _ name: LockName,
        _ token: FencingToken?,
        _ effects: inout [Effect]
    ) {
        guard let lease = lease(for: id, name, token, &effects) else { return }
        totals.released += 1
        effects.append(.sendReleased(id, name, token: lease.token))
        end(lease)
        grantHead(of: lease.lock, &effects)
    }

    mutating func renew(
        _ id: RequestID,
        _ name: LockName,
        _ token: FencingToken?,
        _ timeToLive: Milliseconds?,
        _ effects: inout [Effect]
    ) {
        guard var lease = lease(for: id, name, token, &effects) else { return }
        lease.timeToLive = timeToLive ?? lease.timeToLive
        if let timeToLive = lease.timeToLive { move(&lease, to: lastInstant + timeToLive) }
        leases[lease.token] = lease
        effects.append(.sendRenewed(id, name, token: lease.token, timeToLive: lease.timeToLive))
    }

    mutating func cancel(_ id: RequestID, _ tag: Tag, _ effects: inout [Effect]) {
        guard let waiter = settledWait(under: tag, of: id.session, &effects) else {
            effects.append(.sendNotWaiting(id, tag: tag))
            return
        }
        cancel(waiter, &effects)
        effects.append(.sendWaitCancelled(id, tag: tag))
    }

    mutating func revoke(
        _ id: RequestID,
        _ name: LockName,
        _ token: FencingToken?,
        _ reason: Text?,
        _ effects: inout [Effect]
    ) {
        let user = session(id.session).user
        guard let slot = settledSlot(of: name, &effects), let held = locks[slot].holders.first,
            let lease = leases[held], token == nil || token == lease.token
        else {
            effects.append(.sendNotHeld(id, name))
            return
        }
        let holder = session(lease.session).user
        guard Self.may(user, revokeFrom: holder, inOwnSession: lease.session == id.session) else {
            effects.append(.sendDenied(id, name, token: lease.token, holder: holder))
            return
        }
        totals.revoked += 1
        let loss = LossReason.revoked(by: id.session, why: reason)
        effects.append(.sendLost(lease.session, name, token: lease.token, reason: loss))
        effects.append(.sendRevoked(id, name, token: lease.token))
        end(lease)
        grantHead(of: slot, &effects)
    }

    /// Whether `user` may take leases from `holder`.
    ///
    /// The overflow uid stands for many users, so it gives no right over others.
    private static func may(_ user: UserID, revokeFrom holder: UserID, inOwnSession own: Bool) -> Bool {
        own || user == .root || (user == holder && user != .overflow)
    }

    private mutating func acquireFree(
        _ request: AcquireRequest,
        _ effects: inout [Effect]
    ) {
        if load(of: request.id.session) >= limits.leasesPerSession {
            refuse(request.id, .tooManyLeasesOfSession(limit: limits.leasesPerSession), &effects)
        } else if leases.count >= limits.leases {
            refuse(request.id, .tooManyLeases(limit: limits.leases), &effects)
        } else {
            let slot = locks.insert(Lock(name: request.name))
            slots[request.name] = slot
            grant(request, arrivedAs: nextArrival(), on: slot, &effects)
        }
    }

    private mutating func refusalToQueue(in id: SessionID) -> Refusal? {
        if load(of: id) >= limits.leasesPerSession {
            return .tooManyLeasesOfSession(limit: limits.leasesPerSession)
        }
        if session(id).waiters.count >= limits.waitersPerSession {
            return .tooManyWaitersOfSession(limit: limits.waitersPerSession)
        }
        return waiters.count >= limits.waiters ? .tooManyWaiters(limit: limits.waiters) : nil
    }

    private mutating func enqueue(_ request: AcquireRequest, on slot: Int) {
        let arrival = nextArrival()
        let deadline: MonotonicInstant? =
            if case .after(let length) = request.wait { lastInstant + length } else { nil }
        waiters[arrival] = Waiter(
            arrival: arrival,
            lock: slot,
            request: request,
            since: lastInstant,
            deadline: deadline
        )
        locks[slot].queue.append(arrival)
        change(request.id.session) { session in
            session.waiters.append(arrival)
            if let tag = request.id.tag { session.arrivalsByTag[tag] = arrival }
        }
        if let deadline {
            deadlines.set(.wait(arrival), to: deadline)
            locks[slot].waitDeadlines.set(.wait(arrival), to: deadline)
        }
    }

    /// How many leases a session has, its waiting requests counted in.
    private mutating func load(of id: SessionID) -> Int {
        change(id) { $0.leases.count + $0.waiters.count }
    }

    private mutating func nextArrival() -> Arrival {
        lastArrival = Arrival(number: lastArrival.number + 1)
        return lastArrival
    }

    private mutating func refuse(_ id: RequestID, _ refusal: Refusal, _ effects: inout [Effect]) {
        totals.refused += 1
        effects.append(.sendRefused(id, refusal))
    }

    /// The request that waits under `tag` after everything due on its lock has ended: it may be over, or granted.
    private mutating func settledWait(
        under tag: Tag,
        of id: SessionID,
        _ effects: inout [Effect]
    ) -> Waiter? {
        guard let arrival = arrival(under: tag, of: id), let waiter = waiters[arrival] else { return nil }
        settle(waiter.lock, &effects)
        return waiters[arrival]
    }

    /// The lease that `id` speaks of, or nothing after having said that there is none.
    private mutating func lease(
        for id: RequestID,
        _ name: LockName,
        _ token: FencingToken?,
        _ effects: inout [Effect]
    ) -> Lease? {
        _ = state(of: id.session)
        if let slot = settledSlot(of: name, &effects) {
            for held in locks[slot].holders where token == nil || token == held {
                if let lease = leases[held], lease.session == id.session { return lease }
            }
        }
        effects.append(.sendNotHeld(id, name))
        return nil
    }

    /// The lease that `owner` holds, if it is one of the holders.
    private func lease(of owner: Owner, in session: SessionID, on slot: Int) -> Lease? {
        for held in locks[slot].holders {
            if let lease = leases[held], lease.session == session, lease.owner.isSame(as: owner) { return lease }
        }
        return nil
    }

    private mutating func move(_ lease: inout Lease, to deadline: MonotonicInstant) {
        lease.deadline = deadline
        deadlines.set(.lease(lease.token), to: deadline)
    }
}
