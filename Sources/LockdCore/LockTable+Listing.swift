public import LockdModel

/// What is in the table, for those who look.
extension LockTable {
    /// How many locks are held.
    public var lockCount: Int { locks.count - idleLocks.count }
    /// How many leases there are.
    public var leaseCount: Int { leaseCounter }
    /// How many requests wait.
    public var waiterCount: Int { claims.count - leaseCounter }

    /// One line of a listing.
    public enum Line: Hashable, Sendable {
        case lease(LeaseLine)
        case waiter(WaiterLine)
    }

    /// A lease as it is now.
    public struct LeaseLine: Hashable, Sendable {
        /// The name of the lock.
        public var name: LockName
        /// The token of the lease.
        public var token: FencingToken
        /// How many holders it tolerates.
        public var holderLimit: HolderLimit
        /// Who holds it.
        public var session: SessionID
        /// For how long it has been held.
        public var held: Milliseconds
        /// The longest it may be held without renewal.
        public var timeToLive: Milliseconds?
        /// The time to the deadline.
        public var left: Milliseconds?
        /// The owner that the request named.
        public var owner: Text?
        /// What the holder says about itself.
        public var note: Text?
        /// How many names it is on, this one included.
        public var nameCount: Int
        /// For how long its session has had no connection, if it has none.
        public var detached: Milliseconds?
        /// How many requests wait for the lock.
        public var waiterCount: Int
    }

    /// A waiting request as it is now.
    public struct WaiterLine: Hashable, Sendable {
        /// The name of the lock.
        public var name: LockName
        /// The place in the queue; 1 is granted next.
        public var position: Int
        /// How many holders the lease will tolerate.
        public var holderLimit: HolderLimit
        /// Who waits.
        public var session: SessionID
        /// For how long.
        public var waited: Milliseconds
        /// The time to the end of the wait, unless it is granted before, or attached.
        public var left: Milliseconds?
        /// The ttl that the lease will have.
        public var timeToLive: Milliseconds?
        /// The owner that the request names.
        public var owner: Text?
        /// What the request says about its session.
        public var note: Text?
        /// How many names it is for, this one included.
        public var nameCount: Int
        /// For how long its session has had no connection, if it has none.
        public var detached: Milliseconds?
    }

    /// The leases on `name` and its waiters in queue order, at most `lineLimit` lines of what comes behind `cursor`, and where to go on.
    public func lines(
        of name: LockName,
        after cursor: Cursor?,
        lineLimit: Int,
        at now: MonotonicInstant
    ) -> (lines: [Line], next: Cursor?) {
        guard let slot = lockSlot(of: name) else { return ([], nil) }
        var lines: [Line] = []
        let rest = append(slot, after: cursor?.line, to: &lines, lineLimit: lineLimit, now)
        return (lines, rest)
    }

    func lockSlot(of name: LockName) -> Int? {
        // The index wants to have the slab itself, which costs nothing but this where it matters.
        var locks = locks
        return names.slot(of: name, in: &locks)
    }

    /// The same for all locks whose names begin with `prefix`, those behind `cursor` in the table; looks at ``Limits/locksPerPage`` locks at the most.
    public func lines(
        withPrefix prefix: LockName?,
        after cursor: Cursor?,
        lineLimit: Int,
        at now: MonotonicInstant
    ) -> (lines: [Line], next: Cursor?) {
        var lines: [Line] = []
        guard let start = Int(exactly: cursor?.lock ?? 0), start < locks.slotCount else { return ([], nil) }
        let end = min(locks.slotCount, start + limits.locksPerPage)
        for slot in start..<end {
            guard locks.isOccupied(slot), prefix.map(locks[slot].name.hasPrefix) ?? true else { continue }
            let line = slot == start ? cursor?.line : nil
            if let rest = append(slot, after: line, to: &lines, lineLimit: lineLimit, now) { return (lines, rest) }
        }
        return (lines, end < locks.slotCount ? Cursor(lock: UInt64(end), line: 0) : nil)
    }

    /// Adds the lines of a lock that come behind `line`, and says where to go on if there are more than the limit allows.
    ///
    /// A line has the number of its request's arrival. It keeps it when the waiter becomes the holder, so nobody is lost between two pages.
    private func append(
        _ slot: Int,
        after line: UInt64?,
        to lines: inout [Line],
        lineLimit: Int,
        _ now: MonotonicInstant
    ) -> Cursor? {
        var last = line ?? 0
        for held in locks[slot].holders.places {
            let arrival = claims[held.claim].arrival
            guard arrival > last, !hasEnded(claims[held.claim].session) else { continue }
            if lines.count == lineLimit { return Cursor(lock: UInt64(slot), line: last) }
            lines.append(.lease(leaseLine(of: claims[held.claim], on: slot, now)))
            last = arrival
        }
        let waiting = locks[slot].queue.elements(above: Place(number: last, claim: -1))
        for (index, place) in zip(waiting.indices, waiting) {
            if lines.count == lineLimit { return Cursor(lock: UInt64(slot), line: last) }
            lines.append(.waiter(waiterLine(of: place.claim, on: slot, position: index + 1, now)))
            last = place.number
        }
        return nil
    }

    private func leaseLine(of claim: Claim, on lock: Int, _ now: MonotonicInstant) -> LeaseLine {
        guard let token = claim.token else { preconditionFailure("claim \(claim.arrival) holds nothing") }
        return LeaseLine(
            name: locks[lock].name,
            token: token,
            holderLimit: claim.holderLimit,
            session: sessions[claim.session].id,
            held: now - claim.since,
            timeToLive: claim.timeToLive,
            left: claim.deadline.map { $0 - now },
            owner: claim.owner.name,
            note: claim.note,
            nameCount: claim.locks.count,
            detached: detached(claim.session, now),
            waiterCount: locks[lock].queue.count
        )
    }

    private func detached(_ session: Int, _ now: MonotonicInstant) -> Milliseconds? {
        sessions[session].detachedAt.map { now - $0 }
    }

    private func waiterLine(of wait: Int, on lock: Int, position: Int, _ now: MonotonicInstant) -> WaiterLine {
        let claim = claims[wait]
        let end = [claim.deadline, graces[wait]].compactMap { $0 }.min()
        return WaiterLine(
            name: locks[lock].name,
            position: position,
            holderLimit: claim.holderLimit,
            session: claim.id.session,
            waited: now - claim.since,
            left: end.map { $0 - now },
            timeToLive: claim.timeToLive,
            owner: claim.owner.name,
            note: claim.note,
            nameCount: claim.locks.count,
            detached: detached(claim.session, now)
        )
    }
}
