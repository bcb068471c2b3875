import LockdModel

/// How leases and waits begin and end.
extension LockTable {
    /// The lock on `name` after everything due on it has ended, if there is one.
    ///
    /// It may be idle.
    mutating func settledLock(on name: LockName, _ effects: inout [Effect]) -> Int? {
        guard let lock = names.slot(of: name, in: &locks) else { return nil }
        settle(lock, &effects)
        return lock
    }

    /// Ends everything that is due on the lock, in the order in which it was due, and grants whose turn it is.
    mutating func settle(_ lock: Int, _ effects: inout [Effect]) {
        if nothingIsDue { return }
        while endFirst(on: lock, dueBy: lastInstant, &effects) {}
    }

    /// Whether time has nothing to do with what happens now, as is true of most requests.
    var nothingIsDue: Bool {
        @inline(__always) get {
            locksWithGrantsDue.isEmpty && (deadlines.earliest.map { $0.instant > lastInstant } ?? true)
        }
    }

    /// The lock on `name`, new or not, for somebody who is about to be granted it.
    mutating func takeLock(on name: LockName) -> Int {
        if let lock = names.slot(of: name, in: &locks) {
            if locks[lock].isIdle { idleLocks.remove(lock, in: &locks) }
            return lock
        }
        let lock = locks.insert(Lock(name: name))
        names.insert(lock, in: &locks)
        return lock
    }

    /// Grants the lock to the claims at the head of its queue, as many as it admits since `instant`, or lets the lock rest if it is idle.
    ///
    /// No more than ``Limits/grantsPerTurn`` in one event; what is left is due then, and worked off like everything that is due.
    mutating func grantHead(of lock: Int, since instant: MonotonicInstant, _ effects: inout [Effect]) {
        while let head = locks[lock].queue.first, locks[lock].holders.admit(claims[head.claim].holderLimit) {
            if grantsLeft == 0 { return putOffGrants(of: lock, since: instant) }
            grantsLeft -= 1
            endWait(head.claim)
            grant(head.claim, &effects)
        }
        if locks[lock].grantsAreDueSince != nil {
            locks[lock].grantsAreDueSince = nil
            locksWithGrantsDue.remove(lock, in: &locks)
        }
        restIfIdle(lock)
    }

    private mutating func putOffGrants(of lock: Int, since instant: MonotonicInstant) {
        guard locks[lock].grantsAreDueSince == nil else { return }
        locks[lock].grantsAreDueSince = instant
        locksWithGrantsDue.append(lock, in: &locks)
    }

    /// Makes a lease of a claim that does not wait (any more).
    mutating func grant(_ claim: Int, _ effects: inout [Effect]) {
        let token = makeLease(of: claim)
        let (id, lock, timeToLive) = (claims[claim].id, claims[claim].lock, claims[claim].timeToLive)
        let predecessor = locks[lock].predecessor
        locks[lock].predecessor = .unremarkable
        let name = locks[lock].name
        effects.append(.sendGranted(id, name, token: token, timeToLive: timeToLive, after: predecessor))
    }

    /// Makes a lease of a claim, of which somebody is to be told.
    mutating func makeLease(of claim: Int) -> FencingToken {
        precondition(tokensLeft > 0, "no token is left through \(reservedThrough)")
        let token = nextToken
        nextToken = FencingToken(token.value + 1)
        claims[claim].token = token
        claims[claim].since = lastInstant
        let (lock, session, timeToLive) = (claims[claim].lock, claims[claim].session, claims[claim].timeToLive)
        locks[lock].holders.append(Place(number: token.value, claim: claim), claims[claim].holderLimit)
        sessions[session].leases.append(claim, in: &claims)
        if let timeToLive { setDeadline(of: claim, to: lastInstant + timeToLive) }
        leaseCounter += 1
        totals.granted += 1
        return token
    }

    /// Ends a lease that was not released, at `instant`, and remembers that for the next holder.
    mutating func abandonLease(_ claim: Int, _ ending: Abandonment.Ending, at instant: MonotonicInstant) {
        guard let token = claims[claim].token else { preconditionFailure("claim \(claim) holds nothing") }
        let peer = sessions[claims[claim].session].peer
        locks[claims[claim].lock].predecessor = .abandoned(
            Abandonment(
                ending,
                token: token,
                process: peer.process,
                user: peer.user,
                command: peer.command,
                held: instant - claims[claim].since,
                note: claims[claim].note
            )
        )
        endLease(claim)
    }

    /// Takes a lease out of the table.
    ///
    /// The lock may be idle then: ``grantHead(of:since:_:)`` follows.
    mutating func endLease(_ claim: Int) {
        clearDeadline(of: claim)
        locks[claims[claim].lock].holders.remove(claims[claim].place(at: claim), claims[claim].holderLimit) { place in
            claims[place.claim].holderLimit
        }
        sessions[claims[claim].session].leases.remove(claim, in: &claims)
        leaseCounter -= 1
        claims.remove(at: claim)
    }

    /// Takes a claim out of its queue.
    ///
    /// It is granted next, or leaves the table; in that case its lock may be idle.
    mutating func endWait(_ claim: Int) {
        clearDeadline(of: claim)
        let (lock, session) = (claims[claim].lock, claims[claim].session)
        locks[lock].queue.remove(claims[claim].place(at: claim))
        sessions[session].waits.remove(claim, in: &claims)
        if claims[claim].holderLimit != .exclusive { jointWaitCounter -= 1 }
        if let tag = claims[claim].id.tag { sessions[session].waitsByTag[tag] = nil }
    }

    mutating func cancel(_ claim: Int, _ effects: inout [Effect]) {
        let (id, lock, waited) = (claims[claim].id, claims[claim].lock, lastInstant - claims[claim].since)
        leaveQueue(claim)
        totals.cancelled += 1
        effects.append(.sendCancelled(id, locks[lock].name, waited: waited))
        // Who waited behind it may be admitted though it was not.
        grantHead(of: lock, since: lastInstant, &effects)
    }

    /// Gives a claim a deadline in place of the one that it may have.
    mutating func setDeadline(of claim: Int, to instant: MonotonicInstant) {
        claims[claim].deadline = instant
        schedule(claim, at: instant)
    }

    /// Makes a claim end at `instant`, unless it ends otherwise before.
    private mutating func schedule(_ claim: Int, at instant: MonotonicInstant) {
        let isOfWait = claims[claim].token == nil
        let number = claims[claim].place(at: claim).number
        let deadline = Deadline(instant: instant, isOfWait: isOfWait, number: number, claim: claim)
        deadlines.set(deadline)
        locks[claims[claim].lock].deadlines.set(deadline)
    }

    mutating func endInput(of id: SessionID, _ effects: inout [Effect]) {
        let session = slot(of: id)
        precondition(sessions[session].state == .open, "the input of session \(id) has ended already")
        for claim in sessions[session].waits.slots(in: claims) {
            // What was due before the input ended has ended before, and may have ended this wait, or granted it.
            if waits(claim, in: session) { settle(claims[claim].lock, &effects) }
            if waits(claim, in: session) { cancel(claim, &effects) }
        }
        sessions[session].state = .draining
    }

    mutating func end(_ id: SessionID) {
        let session = slot(of: id)
        precondition(sessions[session].state == .draining, "the input of session \(id) has not ended")
        if sessions[session].leases.isEmpty {
            forget(session)
        } else {
            sessions[session].state = .ended(at: lastInstant)
            endedSessionCount += 1
            for lease in sessions[session].leases.slots(in: claims) {
                schedule(lease, at: min(lastInstant, claims[lease].deadline ?? lastInstant))
            }
        }
    }

    /// Works off what is due, in the order in which it was due.
    mutating func workOff(_ effects: inout [Effect]) {
        for _ in 0..<limits.endingsPerTurn {
            guard let (lock, instant) = nextDue, instant <= lastInstant else { return }
            guard endFirst(on: lock, dueBy: instant, &effects) else { return }
        }
    }

    /// The lock on which something is due next, and when that is.
    var nextDue: (lock: Int, instant: MonotonicInstant)? {
        let deadline = deadlines.earliest
        if let lock = locksWithGrantsDue.first, let since = locks[lock].grantsAreDueSince,
            since <= deadline?.instant ?? since
        {
            return (lock, since)
        }
        return deadline.map { (claims[$0.claim].lock, $0.instant) }
    }

    /// Who holds the lock, sessions that have ended left out, and how many wait.
    mutating func situation(of lock: Int) -> (holder: Holding?, waiterCount: Int) {
        let waiterCount = locks[lock].queue.count
        var holderCount = locks[lock].holders.count
        var first = locks[lock].holders.first
        if endedSessionCount > 0 {
            let present = locks[lock].holders.places.filter { !hasEnded(claims[$0.claim].session) }
            (first, holderCount) = (present.first, present.count)
        }
        guard let claim = first?.claim else { return (nil, waiterCount) }
        let held = lastInstant - claims[claim].since
        return (Holding(session: claims[claim].id.session, held: held, holderCount: holderCount), waiterCount)
    }

    /// Ends what is due first on the lock, if it is due by `instant`; a lease before a wait if they are due together.
    ///
    /// Says whether there was something, and it could be done in this event.
    private mutating func endFirst(
        on lock: Int,
        dueBy instant: MonotonicInstant,
        _ effects: inout [Effect]
    ) -> Bool {
        if let since = locks[lock].grantsAreDueSince {
            // They were to come before everything that is due now.
            guard grantsLeft > 0 else { return false }
            grantHead(of: lock, since: since, &effects)
            return true
        }
        guard let deadline = locks[lock].deadlines.earliest, deadline.instant <= instant else { return false }
        if deadline.isOfWait { timeOut(deadline.claim, &effects) } else { endDueLease(deadline.claim, &effects) }
        grantHead(of: lock, since: deadline.instant, &effects)
        return true
    }

    private mutating func timeOut(_ claim: Int, _ effects: inout [Effect]) {
        let (id, lock, waited) = (claims[claim].id, claims[claim].lock, lastInstant - claims[claim].since)
        leaveQueue(claim)
        totals.timeouts += 1
        let (holder, waiterCount) = situation(of: lock)
        let name = locks[lock].name
        effects.append(.sendTimedOut(id, name, waited: waited, holder: holder, waiterCount: waiterCount))
    }

    /// Ends a wait without a lease.
    private mutating func leaveQueue(_ claim: Int) {
        endWait(claim)
        claims.remove(at: claim)
    }

    /// Whether the claim is there and waits still, for this session.
    private func waits(_ claim: Int, in session: Int) -> Bool {
        claims.isOccupied(claim) && claims[claim].session == session && claims[claim].token == nil
    }

    /// Ends a lease that is due: it expired if its deadline came first, else its session ended.
    private mutating func endDueLease(_ claim: Int, _ effects: inout [Effect]) {
        let (lock, session) = (claims[claim].lock, claims[claim].session)
        if let endedAt = endInstant(of: session) {
            // There is nobody left to tell.
            let expiredAt = claims[claim].deadline.flatMap { $0 <= endedAt ? $0 : nil }
            if expiredAt == nil { totals.ended += 1 } else { totals.expired += 1 }
            abandonLease(claim, expiredAt == nil ? .ended : .expired, at: expiredAt ?? endedAt)
            if sessions[session].leases.isEmpty {
                endedSessionCount -= 1
                forget(session)
            }
        } else if let token = claims[claim].token, let deadline = claims[claim].deadline {
            totals.expired += 1
            effects.append(.sendLost(sessions[session].id, locks[lock].name, token: token, reason: .expired))
            abandonLease(claim, .expired, at: deadline)
        }
    }

    private mutating func clearDeadline(of claim: Int) {
        guard claims[claim].deadline != nil || hasEnded(claims[claim].session) else { return }
        claims[claim].deadline = nil
        deadlines.remove(claim)
        locks[claims[claim].lock].deadlines.remove(claim)
    }

    private mutating func forget(_ session: Int) {
        sessionSlots[sessions[session].id] = nil
        sessions.remove(at: session)
    }

    /// Lets a lock rest that nobody holds or waits for, and forgets the one that has rested longest if too many do.
    mutating func restIfIdle(_ lock: Int) {
        guard locks[lock].isIdle else { return }
        idleLocks.append(lock, in: &locks)
        guard idleLocks.count > limits.idleLocks, let oldest = idleLocks.first else { return }
        idleLocks.remove(oldest, in: &locks)
        names.remove(oldest, in: &locks)
        locks.remove(at: oldest)
    }
}
