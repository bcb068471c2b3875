import LockdModel

/// What must always be true.
extension LockTable {
    /// Checks every invariant and stops the program, naming it, if one is broken.
    ///
    /// Costs O(n log n); for tests and simulation.
    public func checkInvariants() {
        checkLocks()
        checkClaims()
        checkSessions()
        checkDeadlines()
        checkHistory()
        checkHistograms()
        checkUsers()
    }

    private func checkLocks() {
        var (holderCount, waiterCount) = (0, 0)
        for slot in locks.occupiedSlots {
            let lock = locks[slot]
            let name = lock.name
            precondition(lockSlot(of: name) == slot, "\(name) does not lead to its lock")
            for place in [Array(lock.holders.places), Array(lock.queue)].joined() {
                let claim = claims[place.claim]
                precondition(
                    claim.locks.contains(slot) && claim.place(at: place.claim) == place,
                    "a claim on \(name) is another's"
                )
            }
            precondition(
                lock.holders.places.allSatisfy { claims[$0.claim].token != nil },
                "a holder of \(name) has no lease"
            )
            precondition(lock.queue.allSatisfy { claims[$0.claim].token == nil }, "a waiter for \(name) has a lease")
            check(lock)
            // A claim is counted with the first of its locks.
            holderCount += lock.holders.places.count { claims[$0.claim].locks.first == slot }
            waiterCount += lock.queue.count { claims[$0.claim].locks.first == slot }
        }
        precondition(holderCount == leaseCounter, "\(leaseCounter) leases, but \(holderCount) holders")
        let waitCount = claims.count - leaseCounter
        precondition(waiterCount == waitCount, "\(waitCount) waiters, but \(waiterCount) in queues")
        let leaseLimit = max(largestLimits.leases, restoredCount)
        precondition(leaseCounter <= leaseLimit, "\(leaseCounter) leases are more than there may be")
        precondition(locks.count == names.count, "\(locks.count) locks, but \(names.count) names")
        let idle = locks.occupiedSlots.filter { locks[$0].isIdle }
        precondition(Set(idle) == Set(idleLocks.slots(in: locks)), "the list of idle locks is wrong")
        let due = locks.occupiedSlots.filter { locks[$0].grantsAreDueSince != nil }
        precondition(Set(due) == Set(locksWithGrantsDue.slots(in: locks)), "the list of locks with grants due is wrong")
        precondition(idle.count == idleLocks.count && idle.count <= limits.idleLocks, "\(idle.count) locks are idle")
    }

    /// Checks that as many hold the lock as may, and no more, and that nobody has overtaken anybody.
    private func check(_ lock: Lock) {
        let limits = lock.holders.places.map { claims[$0.claim].holderLimit }
        let least = limits.min() ?? .shared
        precondition(lock.holders.count <= least.count, "\(lock.name) has \(lock.holders.count) holders")
        precondition(lock.holders.admit(.shared) == (lock.holders.count < least.count), "\(lock.name) has miscounted")
        let areGrantsDue = lock.grantsAreDueSince != nil
        guard let head = lock.queue.first else {
            return precondition(!areGrantsDue, "grants of \(lock.name) are due, but nobody waits")
        }
        let limit = claims[head.claim].holderLimit
        let isAdmitted = claims[head.claim].locks.allSatisfy { locks[$0].admits(head.claim, limit) }
        let isWaitedFor = graces[head.claim] != nil
        precondition(!isWaitedFor || isAdmitted, "a session is waited for, and it is not the turn of its request")
        precondition(isAdmitted == (areGrantsDue || isWaitedFor), "forgotten: \(lock.name) is free for a waiter")
        let haveOvertaken = lock.holders.places.contains { claims[$0.claim].arrival > head.number }
        precondition(!haveOvertaken, "a holder of \(lock.name) has overtaken a waiter")
    }

    private func checkClaims() {
        var reserve = 0
        var setClaimCounts: [Int: Int] = [:]
        for slot in claims.occupiedSlots {
            let claim = claims[slot]
            for lock in claim.locks {
                let places = claim.token == nil ? locks[lock].queue : locks[lock].holders.places
                precondition(places.contains(claim.place(at: slot)), "claim \(claim.arrival) has no place on a lock")
                if !claim.locks.isSingle { setClaimCounts[lock, default: 0] += 1 }
            }
            if claim.token != nil {
                reserve += claim.locks.count - 1
            } else if claim.needsReserve {
                reserve += claim.locks.count
            }
            precondition(claim.arrival <= lastArrival, "claim \(claim.arrival) has not arrived")
            precondition(claim.token.map { $0 < nextToken } ?? true, "claim \(claim.arrival) has a token of the future")
        }
        precondition(reserve == leaseReserve, "\(leaseReserve) leases are in reserve, not \(reserve)")
        for slot in locks.occupiedSlots {
            let count = setClaimCounts[slot] ?? 0
            precondition(locks[slot].setClaimCount == count, "\(count) claims tie \(locks[slot].name) to others")
        }
    }

    private func checkSessions() {
        var (leaseCount, waiterCount) = (0, 0)
        for (id, slot) in sessionSlots {
            let session = sessions[slot]
            precondition(session.id == id, "session \(id) leads to session \(session.id)")
            let leases = session.leases.slots(in: claims)
            let waits = session.waits.slots(in: claims)
            precondition(
                (leases + waits).allSatisfy { claims[$0].session == slot },
                "session \(id) has another's claims"
            )
            precondition(leases.count == session.leases.count, "session \(id) has miscounted its leases")
            precondition(waits.count == session.waits.count, "session \(id) has miscounted its waits")
            precondition(waits.isEmpty || session.state == .open, "session \(id) cannot wait")
            let tags = waits.compactMap { wait in claims[wait].id.tag.map { ($0, wait) } }
            precondition(Dictionary(uniqueKeysWithValues: tags) == session.waitsByTag, "session \(id) has other tags")
            precondition(!hasEnded(slot) || !leases.isEmpty, "session \(id) has ended and is still there")
            leaseCount += leases.count
            waiterCount += waits.count
        }
        precondition(
            sessions.count == sessionSlots.count,
            "\(sessions.count) sessions, but \(sessionSlots.count) numbers"
        )
        precondition(leaseCount == leaseCounter, "\(leaseCounter) leases, but sessions have \(leaseCount)")
        let waitCount = claims.count - leaseCounter
        precondition(waiterCount == waitCount, "\(waitCount) waiters, but sessions have \(waiterCount)")
        let endedCount = sessions.occupiedSlots.count(where: hasEnded)
        precondition(endedCount == endedSessionCount, "\(endedSessionCount) sessions have ended, not \(endedCount)")
        let detached = sessions.occupiedSlots.filter { sessions[$0].detachedAt != nil }
        precondition(detached.count == detachedCount, "\(detachedCount) sessions are detached, not \(detached.count)")
        precondition(!detached.contains(where: hasEnded), "a session has ended and is detached")
        for (wait, _) in graces {
            let isOfDetached = claims[wait].token == nil && sessions[claims[wait].session].detachedAt != nil
            precondition(isOfDetached, "claim \(claims[wait].arrival) is waited for, and is not of a detached session")
        }
    }

    private func checkDeadlines() {
        var (count, countOnLocks) = (0, 0)
        for slot in claims.occupiedSlots {
            let claim = claims[slot]
            let ends = [claim.deadline, graces[slot], endInstant(of: claim.session)].compactMap { $0 }
            guard let instant = ends.min() else { continue }
            let number = claim.place(at: slot).number
            let deadline = Deadline(instant: instant, isOfWait: claim.token == nil, number: number, claim: slot)
            precondition(deadlines.deadline(of: slot) == deadline, "claim \(claim.arrival) is not timed")
            for lock in claim.locks {
                precondition(
                    locks[lock].deadlines.deadline(of: slot) == deadline,
                    "claim \(claim.arrival) is not timed"
                )
                countOnLocks += 1
            }
            count += 1
        }
        precondition(deadlines.count == count, "a deadline is of nothing")
        let deadlineCount = locks.occupiedSlots.reduce(0) { $0 + locks[$1].deadlines.count }
        precondition(countOnLocks == deadlineCount, "a deadline on a lock is of nothing")
    }
}
