import LockdModel

/// What must always be true.
extension LockTable {
    /// Checks every invariant and stops the program, naming it, if one is broken.
    ///
    /// Costs O(n log n); for tests and simulation.
    public func checkInvariants() {
        checkLocks()
        checkLeases()
        checkWaiters()
        checkSessions()
        checkDeadlines()
    }

    private func checkLocks() {
        var (holderCount, waiterCount) = (0, 0)
        for (name, slot) in slots {
            let lock = locks[slot]
            precondition(lock.name == name, "\(name) leads to the lock on \(lock.name)")
            precondition(!lock.isIdle, "the lock on \(name) is idle")
            precondition(lock.holders.count == 1, "the lock on \(name) has \(lock.holders.count) holders")
            precondition(lock.holders.allSatisfy { leases[$0]?.lock == slot }, "a holder of \(name) has no lease")
            precondition(lock.queue.allSatisfy { waiters[$0]?.lock == slot }, "a waiter for \(name) does not exist")
            if let lease = lock.holders.first.flatMap({ leases[$0] }), let waiter = lock.queue.first {
                precondition(lease.arrival < waiter, "the holder of \(name) has overtaken a waiter")
            }
            holderCount += lock.holders.count
            waiterCount += lock.queue.count
        }
        precondition(holderCount == leases.count, "\(leases.count) leases, but \(holderCount) holders")
        precondition(waiterCount == waiters.count, "\(waiters.count) waiters, but \(waiterCount) in queues")
        let occupied = (0..<locks.slotCount).count { locks.element(at: $0) != nil }
        precondition(occupied == slots.count, "\(occupied) locks, but \(slots.count) names")
    }

    private func checkLeases() {
        for (token, lease) in leases {
            precondition(lease.token == token, "token \(token) leads to the lease \(lease.token)")
            precondition(token < nextToken, "lease \(token) has a token that was not granted")
            precondition(sessions[lease.session]?.leases.contains(token) == true, "lease \(token) has no session")
        }
    }

    private func checkWaiters() {
        for (arrival, waiter) in waiters {
            let session = sessions[waiter.request.id.session]
            precondition(session?.state == .open, "waiter \(arrival) belongs to a session that cannot wait")
            precondition(session?.waiters.contains(arrival) == true, "waiter \(arrival) has no session")
        }
    }

    private func checkDeadlines() {
        let timedLeases = leases.values.filter { $0.deadline != nil }
        let timedWaiters = waiters.values.filter { $0.deadline != nil }
        for lease in timedLeases {
            precondition(
                deadlines.deadline(of: .lease(lease.token)) == lease.deadline,
                "lease \(lease.token) is not timed"
            )
        }
        for waiter in timedWaiters {
            let subject = Deadline.Subject.wait(waiter.arrival)
            precondition(deadlines.deadline(of: subject) == waiter.deadline, "waiter \(waiter.arrival) is not timed")
            let deadline = locks[waiter.lock].waitDeadlines.deadline(of: subject)
            precondition(deadline == waiter.deadline, "waiter \(waiter.arrival) is not timed on its lock")
        }
        precondition(deadlines.count == timedLeases.count + timedWaiters.count, "a deadline is of nothing")
        let countOnLocks = slots.values.reduce(0) { $0 + locks[$1].waitDeadlines.count }
        precondition(countOnLocks == timedWaiters.count, "a deadline on a lock is of no waiter")
    }

    private func checkSessions() {
        var (leaseCount, waiterCount) = (0, 0)
        for (id, session) in sessions {
            leaseCount += session.leases.count
            waiterCount += session.waiters.count
            let tagged = session.waiters.count { waiters[$0]?.request.id.tag != nil }
            precondition(session.arrivalsByTag.count == tagged, "session \(id) has other tags than its waits")
            if case .ended = session.state {
                precondition(!session.leases.isEmpty && endings.contains(id), "session \(id) has ended")
            }
        }
        precondition(leaseCount == leases.count, "\(leases.count) leases, but sessions have \(leaseCount)")
        precondition(waiterCount == waiters.count, "\(waiters.count) waiters, but sessions have \(waiterCount)")
    }
}
