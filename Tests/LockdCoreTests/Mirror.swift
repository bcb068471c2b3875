import LockdModel

@testable import LockdCore

/// For how long there is no table.
struct Downtime {
    var from: MonotonicInstant
    var to: MonotonicInstant

    /// What becomes of the deadline of a lease.
    func moved(_ deadline: MonotonicInstant) -> MonotonicInstant {
        deadline > from
            ? MonotonicInstant(nanoseconds: deadline.nanoseconds + to.nanoseconds - from.nanoseconds) : deadline
    }
}

/// What is written down of a lock table, by nothing but what that says of its changes.
struct Mirror {
    private(set) var claims: [Int: ClaimRecord] = [:]
    private(set) var sessions: [Int: SessionRecord] = [:]

    /// What the next table is told.
    var record: TableRecord {
        var record = TableRecord()
        // In any order.
        (record.claims, record.sessions) = (Array(claims.values), Array(sessions.values))
        return record
    }

    mutating func update(from table: inout LockTable) {
        var (claims, sessions): ([Int], [Int]) = ([], [])
        table.takeChanges(claims: &claims, sessions: &sessions)
        precondition(Set(claims).count == claims.count && Set(sessions).count == sessions.count, "a change twice")
        for slot in claims { self.claims[slot] = table.claimRecord(in: slot) }
        for slot in sessions { self.sessions[slot] = table.sessionRecord(in: slot) }
    }

    /// Checks that what is written down is all that there is, as it is.
    func compare(with table: inout LockTable) throws(Complaint) {
        let all = table.allRecords()
        guard all.claims == claims else { throw Complaint("claims are written down that are not so") }
        guard all.sessions == sessions else { throw Complaint("sessions are written down that are not so") }
    }

    /// A table that goes on from what is written down, once it is shown to be like this one.
    func restore(
        _ table: inout LockTable,
        _ downtime: Downtime,
        reservedThrough: FencingToken,
        detached: Set<SessionID>
    ) throws(Complaint) -> LockTable {
        var problems: [String] = []
        var record = record
        for index in record.sessions.indices where detached.contains(record.sessions[index].id) {
            record.sessions[index].detachedAt = record.sessions[index].detachedAt ?? downtime.to
        }
        var restored = LockTable(
            limits: table.limits,
            firstToken: FencingToken(reservedThrough.value + 1),
            reservedThrough: reservedThrough,
            restoring: record,
            downtime: (downtime.from, downtime.to),
            problems: &problems
        )
        guard problems.isEmpty else { throw Complaint("problems: \(problems)") }
        restored.checkInvariants()
        try compareRecords(table.allRecords(), restored.allRecords(), downtime, detached)
        let isAsBefore =
            downtime.from == downtime.to && table.graces.isEmpty && restored.graces.isEmpty && detached.isEmpty
        guard !isAsBefore || table.lines(at: downtime.to) == restored.lines(at: downtime.to) else {
            throw Complaint("the restored table is listed in another way")
        }
        restored.keepsChanges = true
        // They begin anew with each daemon, but are to add up at the end.
        restored.totals = table.totals
        return restored
    }

    private func compareRecords(
        _ one: Mirror,
        _ other: Mirror,
        _ downtime: Downtime,
        _ detached: Set<SessionID>
    ) throws(Complaint) {
        let expected = one.claims.values.map { claim in
            var claim = claim
            if claim.token != nil { claim.deadline = claim.deadline.map(downtime.moved) }
            return claim
        }
        guard Set(expected) == Set(other.claims.values) else { throw Complaint("claims were restored differently") }
        let sessions = one.sessions.values.map { session in
            var session = session
            if detached.contains(session.id), session.detachedAt == nil { session.detachedAt = downtime.to }
            return session
        }
        guard Set(sessions) == Set(other.sessions.values) else {
            throw Complaint("sessions were restored differently")
        }
    }
}

extension LockTable {
    /// What all slots hold.
    fileprivate mutating func allRecords() -> Mirror {
        var all = Mirror()
        for slot in Array(claims.occupiedSlots) { all.set(claimRecord(in: slot), at: slot) }
        for slot in Array(sessions.occupiedSlots) { all.set(sessionRecord(in: slot), at: slot) }
        return all
    }

    /// All lines of all locks, which are in no particular order.
    fileprivate func lines(at now: MonotonicInstant) -> Set<Line> {
        var (lines, cursor): (Set<Line>, Cursor?) = ([], nil)
        repeat {
            let page = self.lines(withPrefix: nil, after: cursor, lineLimit: 500, at: now)
            lines.formUnion(page.lines)
            cursor = page.next
        } while cursor != nil
        return lines
    }
}

extension Mirror {
    fileprivate mutating func set(_ record: ClaimRecord?, at slot: Int) { claims[slot] = record }
    fileprivate mutating func set(_ record: SessionRecord?, at slot: Int) { sessions[slot] = record }
}
