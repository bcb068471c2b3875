public import LockdModel

/// How a table goes on from what is left of another one.
extension LockTable {
    /// A table that goes on from what is left of another one; `problems` say what of that was dropped, because it contradicts itself.
    ///
    /// `downtime` is from when nobody told the other table the time until when this one is told it: deadlines of leases that were still to come when it
    /// began are later by as much, those of waits are not. Nothing ends and nothing is granted here: what is due is worked off by ``Event/timePassed``.
    /// A session whose ``SessionRecord/detachedAt`` is set is granted nothing that it waits for before it is attached, which cannot be said of one that
    /// is detached afterwards.
    ///
    /// Any record will do. What contradicts itself is dropped as a whole, of two claims that cannot both be the one that was granted or arrived later;
    /// `problems` get a line for each, up to a hundred. What is more than the limits allow is kept.
    public init(
        limits: Limits,
        firstToken: FencingToken,
        reservedThrough: FencingToken,
        restoring record: TableRecord,
        downtime: (from: MonotonicInstant, to: MonotonicInstant),
        problems: inout [String]
    ) {
        self.init(limits: limits, firstToken: firstToken, reservedThrough: reservedThrough)
        let downtime = Downtime(from: downtime.from, to: downtime.to)
        (lastInstant, restoredAt, endingsLeft) = (downtime.to, downtime.to, limits.endingsPerTurn)
        reserveCapacity(for: record)
        var log = ProblemLog()
        for session in record.sessions { restore(session, &log) }
        let order = Self.order(of: record.claims, firstToken, &log)
        lastArrival = max(lastArrival, order.lastArrival)
        for index in order.leases { restore(lease: record.claims[index], downtime, &log) }
        forgetSessionsWithoutLeases(&log)
        for index in order.waits { restore(wait: record.claims[index], &log) }
        noteGrantsDue()
        restoredCount = claims.count
        problems += log.lines
    }

    /// To grow bit by bit would be a third of what it takes.
    private mutating func reserveCapacity(for record: TableRecord) {
        sessions.reserveCapacity(record.sessions.count)
        sessionSlots.reserveCapacity(record.sessions.count)
        claims.reserveCapacity(record.claims.count)
        // Most claims are on a name of their own.
        locks.reserveCapacity(record.claims.count)
        names.reserveCapacity(record.claims.count)
        deadlines.reserveCapacity(record.claims.count { $0.deadline != nil })
    }

    private mutating func restore(_ record: SessionRecord, _ log: inout ProblemLog) {
        guard sessionSlots[record.id] == nil else { return log.add("session \(record.id) is there twice") }
        let instants = [record.endedAt, record.detachedAt].compactMap { $0 }
        guard instants.allSatisfy(\.isPlausible), record.resumedThrough <= Self.lastPossibleArrival else {
            return log.add("session \(record.id) has an impossible time or arrival")
        }
        let payer = record.isBound ? record.payer ?? record.peer.user : record.peer.user
        var session = Session(id: record.id, peer: record.peer, user: users.addSession(of: payer, limits: limits))
        session.isBound = record.isBound
        if record.isBound { session.state = .draining }
        if let endedAt = record.endedAt {
            session.state = .ended(at: min(endedAt, lastInstant))
            endedSessionCount += 1
        } else {
            session.detachedAt = record.detachedAt
            if session.detachedAt != nil { detachedCount += 1 }
        }
        session.resumedThrough = record.resumedThrough
        lastArrival = max(lastArrival, record.resumedThrough)
        sessionSlots[record.id] = sessions.insert(session)
    }

    /// A session that has ended is there because of its leases, and a bound one is a lease.
    private mutating func forgetSessionsWithoutLeases(_ log: inout ProblemLog) {
        for slot in Array(sessions.occupiedSlots) where sessions[slot].leases.isEmpty {
            guard hasEnded(slot) || sessions[slot].isBound else { continue }
            log.add("session \(sessions[slot].id) has ended, or is a bound lease, and has no lease")
            if hasEnded(slot) { endedSessionCount -= 1 }
            forget(slot)
        }
    }

    private mutating func restore(lease record: ClaimRecord, _ downtime: Downtime, _ log: inout ProblemLog) {
        guard let token = record.token else { return }
        guard let session = sessionSlots[record.session] else { return log.drop(record, "there is no such session") }
        let isBound = sessions[session].isBound
        guard isBound || record.id.session == record.session else {
            return log.drop(record, "session \(record.id.session) asked for it, and it is not bound")
        }
        guard !isBound || sessions[session].leases.isEmpty else { return log.drop(record, "a bound lease is alone") }
        for name in record.names {
            guard let lock = names.slot(of: name, in: &locks) else { continue }
            guard locks[lock].holders.admit(record.holderLimit), arrivalOfLastHolder(of: lock) < record.arrival else {
                return log.drop(record, "who holds \(name) does not admit it")
            }
        }
        let claim = insertClaim(record, in: session)
        claims[claim].token = token
        let place = claims[claim].place(at: claim)
        for lock in claims[claim].locks { locks[lock].holders.append(place, record.holderLimit) }
        sessions[session].leases.append(claim, in: &claims)
        leaseReserve += claims[claim].locks.count - 1
        leaseCounter += 1
        if isBound { bindings.insertLease(claim, of: record.id) }
        let deadline = record.deadline.map(downtime.deadlineOfLease)
        claims[claim].deadline = deadline
        if let endedAt = endInstant(of: session) {
            schedule(claim, at: min(endedAt, deadline ?? endedAt))
        } else if let deadline {
            schedule(claim, at: deadline)
        }
    }

    private mutating func restore(wait record: ClaimRecord, _ log: inout ProblemLog) {
        guard let session = sessionSlots[record.session] else { return log.drop(record, "there is no such session") }
        guard sessions[session].state == .open, record.id.session == record.session else {
            return log.drop(record, "a session waits for itself, and while it is there")
        }
        if let tag = record.id.tag, sessions[session].waitsByTag[tag] != nil {
            return log.drop(record, "another one waits under #\(tag)")
        }
        if let holder = record.boundHolder?.session, sessionSlots[holder] != nil || bindings.claim(of: holder) != nil {
            return log.drop(record, "session \(holder) is another one")
        }
        for name in record.names {
            guard let lock = names.slot(of: name, in: &locks) else { continue }
            guard arrivalOfLastHolder(of: lock) < record.arrival else {
                return log.drop(record, "who holds \(name) arrived later")
            }
        }
        let claim = insertClaim(record, in: session)
        let place = claims[claim].place(at: claim)
        for lock in claims[claim].locks { locks[lock].queue.append(place) }
        makeHistograms(for: claim)
        users[claims[claim].charge.user].beginWait()
        sessions[session].waits.append(claim, in: &claims)
        if claims[claim].needsReserve { leaseReserve += claims[claim].locks.count }
        if let tag = record.id.tag { sessions[session].waitsByTag[tag] = claim }
        if let deadline = record.deadline { setDeadline(of: claim, to: deadline) }
        if case .named = claims[claim].owner { claims[claim].holdsUpOwner = record.holdsUpOwner }
        if let holder = record.boundHolder { bindings.insert(holder, of: claim) }
        guard let interval = record.progress else { return }
        progress.add(claim, record.arrival, every: interval, told: nil, on: claims[claim].locks, at: lastInstant)
    }

    /// Puts a claim into a slot and charges its user, whatever the limits say.
    private mutating func insertClaim(_ record: ClaimRecord, in session: Int) -> Int {
        let slots = takeLocks(on: record.names)
        if !slots.isSingle { for lock in slots { locks[lock].setClaimCount += 1 } }
        let owner = sessions[session].isBound ? Owner.request : Owner(of: record.id, record.owner)
        let isFree = record.token == nil && record.holderLimit == .exclusive && slots.isSingle
        let charge = users.chargeAnyway(
            sessions[session].user,
            leases: isFree ? 0 : slots.count,
            bytes: Charge.byteCount(of: record.names, owner.name, record.note)
        )
        return claims.insert(
            Claim(
                id: record.id,
                session: session,
                holder: record.session,
                locks: slots,
                holderLimit: record.holderLimit,
                owner: owner,
                note: record.note,
                arrival: record.arrival,
                arrivedAt: record.arrivedAt,
                charge: charge,
                since: record.since,
                timeToLive: record.timeToLive
            )
        )
    }

    /// 0 if nobody holds the lock.
    private mutating func arrivalOfLastHolder(of lock: Int) -> UInt64 {
        locks[lock].holders.places.last.map { claims[$0.claim].arrival } ?? 0
    }

    /// Whoever could be granted has been put off: they come first, whatever else is due.
    ///
    /// Or, where that is detached, their session is waited for, from now on.
    private mutating func noteGrantsDue() {
        var due: [Int] = []
        for lock in locks.occupiedSlots {
            guard let head = locks[lock].queue.first, isAdmitted(head.claim) else { continue }
            due.append(head.claim)
        }
        for wait in due.sorted(by: { claims[$0].since < claims[$1].since }) {
            if isHeldBack(wait) {
                beginGrace(of: wait, since: lastInstant)
            } else {
                putOffGrants(of: wait, since: min(claims[wait].since, lastInstant))
            }
        }
    }
}

extension LockTable {
    /// No table will ever have counted further, so that another one can go on counting from any arrival that it finds.
    fileprivate static let lastPossibleArrival = UInt64(1) << 62

    /// Which of the claims are leases, in the order of their tokens, and which wait, in that of their arrival; those left out that are like no other table's.
    fileprivate static func order(of claims: [ClaimRecord], _ firstToken: FencingToken, _ log: inout ProblemLog) -> (
        leases: [Int], waits: [Int], lastArrival: UInt64
    ) {
        var byArrival: [Place] = []
        byArrival.reserveCapacity(claims.count)
        for (index, claim) in claims.enumerated() {
            if let complaint = claim.complaint(firstToken) {
                log.drop(claim, complaint)
            } else {
                // Of equal arrivals, a lease comes first.
                byArrival.append(Place(number: claim.arrival << 1 | (claim.token == nil ? 1 : 0), claim: index))
            }
        }
        byArrival.sort()
        var (leases, waits): ([Place], [Int]) = ([], [])
        var last: UInt64 = 0
        for place in byArrival {
            if place.number >> 1 == last {
                log.drop(claims[place.claim], "another one has the same arrival")
            } else if let token = claims[place.claim].token {
                leases.append(Place(number: token.value, claim: place.claim))
            } else {
                waits.append(place.claim)
            }
            last = place.number >> 1
        }
        leases.sort()
        var distinct: [Int] = []
        var lastToken: UInt64 = 0
        for place in leases {
            if place.number == lastToken {
                log.drop(claims[place.claim], "another one has the same token")
            } else {
                distinct.append(place.claim)
            }
            lastToken = place.number
        }
        return (distinct, waits, last)
    }
}

extension ClaimRecord {
    /// Why no table can have had such a claim, if so.
    fileprivate func complaint(_ firstToken: FencingToken) -> String? {
        guard (1...LockTable.lastPossibleArrival).contains(arrival) else { return "its arrival is impossible" }
        if let token, token.value == 0 || token >= firstToken { return "its token was not granted" }
        guard arrivedAt.isPlausible, since.isPlausible, deadline?.isPlausible ?? true else {
            return "its times are impossible"
        }
        let longest = max(timeToLive ?? .maximum, progress ?? .maximum)
        return longest <= .maximum ? nil : "its lengths of time are impossible"
    }
}

extension MonotonicInstant {
    /// No clock says more before 146 years have passed since the boot.
    fileprivate static let lastPlausible = MonotonicInstant(nanoseconds: 1 << 62)

    /// Whether a clock can say so, and times can be counted from there on.
    fileprivate var isPlausible: Bool { nanoseconds >= 0 && self <= Self.lastPlausible }
}

/// The time for which there was no daemon.
private struct Downtime {
    let from: MonotonicInstant
    let to: MonotonicInstant

    /// A deadline that was still to come is later by as much as nobody could renew.
    func deadlineOfLease(_ deadline: MonotonicInstant) -> MonotonicInstant {
        guard deadline > from, to > from else { return deadline }
        let length = to.nanoseconds.subtractingReportingOverflow(from.nanoseconds)
        let later = deadline.nanoseconds.addingReportingOverflow(length.partialValue)
        let isTooLate = length.overflow || later.overflow
        return isTooLate ? .lastPlausible : min(MonotonicInstant(nanoseconds: later.partialValue), .lastPlausible)
    }
}

/// What was dropped: a line for each, so many at the most.
private struct ProblemLog {
    private(set) var lines: [String] = []

    private static let lineLimit = 100

    mutating func add(_ line: @autoclosure () -> String) {
        guard lines.count < Self.lineLimit else {
            if lines.count == Self.lineLimit { lines.append("there is more that contradicts itself") }
            return
        }
        lines.append(line())
    }

    mutating func drop(_ claim: ClaimRecord, _ reason: @autoclosure () -> String) {
        let kind = claim.token.map { "lease \($0)" } ?? "waiting request"
        add("\(kind) on \(claim.names) of session \(claim.session), arrival \(claim.arrival): \(reason())")
    }
}
