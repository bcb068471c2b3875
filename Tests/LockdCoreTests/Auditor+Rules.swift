import LockdCore
import LockdModel

/// What must be so.
extension Auditor {
    /// Takes note that the event's request has its answer, which speaks of the names as they are after everything due there has ended.
    mutating func answer(_ id: RequestID, _ names: LockNames) throws(Complaint) {
        try require(id == asking, "\(id) is answered, which did not ask or had its answer")
        asking = nil
        try requireSettled(names)
    }

    /// The same, of a request for a lease.
    mutating func answerAcquire(_ id: RequestID) throws(Complaint) -> AcquireRequest {
        guard case .acquireRequested(let request) = event else {
            throw Complaint("\(id) is answered, which did not ask for a lease")
        }
        try answer(id, request.names)
        return request
    }

    /// Nothing is due on the names, and nobody waits for them without reason; unless more are to be granted them than one turn may, or more is
    /// due than one turn ends.
    mutating func requireSettled(_ names: LockNames) throws(Complaint) {
        for name in names { try requireSettled(name) }
    }

    private mutating func requireSettled(_ name: LockName) throws(Complaint) {
        if hasWorkLeft && perhapsTied.contains(name) || grantsAreSuspended { return }
        guard let account = accounts[name] else { return }
        let firstIsOpen = account.queue.first.map(openWaits.contains) ?? false
        if grantCount >= limits.grantsPerTurn && firstIsOpen { return }
        try require(
            !account.holders.contains { holders[$0.token]?.deadline.map { $0 <= now } ?? false },
            "the lease on \(name) is over"
        )
        try require(
            !account.queue.contains { waits[$0]?.end.map { $0 <= now } ?? false },
            "a wait for \(name) is over"
        )
        try require(!firstIsOpen, "forgotten: \(name) is free and waited for")
        forgetSilent(on: LockNames(name))
        guard tied.contains(name) else { return }
        // What is due on names that are claimed together is worked off with all that is due anywhere.
        try require(deadlines.first.map { $0.instant > now } ?? true, "something was due before, on other names")
        try require(openWaits.isEmpty, "forgotten: other names are free and waited for")
        silent = [:]
    }

    /// Whether there may be more that is due than the event may work off, on names that are claimed together.
    var hasWorkLeft: Bool {
        if perhapsTied.isEmpty { return false }
        return grantCount >= limits.grantsPerTurn || workedOffCount + workCount >= limits.endingsPerTurn
    }

    /// How much of what is due the event has worked off, at the most: what had been put off counts, too.
    private var workCount: Int {
        endingCount + silentEndingCount + (hadOpenWaits ? grantCount : 0) + unnoticedGraces.count
    }

    /// Notes which names the event is about: what is due there ends first.
    mutating func noteSubjects() {
        subjects = []
        switch event {
        case .acquireRequested(let request):
            subjects = Set(request.names)
            if let tag = request.id.tag { noteSubjects(waitingUnder: tag, of: request.id.session) }
        case .releaseRequested(_, let name, _), .renewRequested(_, let name, _, _): subjects = [name]
        case .revokeRequested(_, let name, _, _), .nameInspected(let name): subjects = [name]
        case .cancelRequested(let id, let tag): noteSubjects(waitingUnder: tag, of: id.session)
        case .inputEnded(let id), .sessionDetached(let id), .sessionAttached(let id):
            for wait in clients[id]?.waits ?? [] { subjects.formUnion(waits[wait].map { Array($0.names) } ?? []) }
        case .bindingEnded(let id): subjects = Set(waitBound(to: id).map { Array($0.names) } ?? [])
        case .sessionOpened, .sessionEnded, .tokensReserved, .bytesBuffered, .progressDue, .timePassed: break
        case .grantsSuspended: break
        }
        tied = subjects.filter { accounts[$0]?.tieCount ?? 0 > 0 }
        perhapsTied = subjects.filter { name in
            tied.contains(name) || silent.values.contains { $0.names.count > 1 && $0.names.contains(name) }
        }
    }

    private mutating func noteSubjects(waitingUnder tag: Tag, of session: SessionID) {
        guard let wait = clients[session]?.tags[tag].flatMap({ waits[$0] }) else { return }
        subjects.formUnion(wait.names)
    }

    /// What is due ends in the order in which it is: over all names, or on the names of the event if nothing ties these to others.
    mutating func requireOrder(of due: Due, on names: LockNames) throws(Complaint) {
        for name in names {
            let account = accounts[name, default: Account()]
            let leases = account.holders.compactMap { holders[$0.token]?.deadline }
            let waits = account.queue.compactMap { self.waits[$0]?.end }
            let isFirst = !leases.contains { Due(instant: $0, isOfWait: false) < due }
            try require(
                isFirst && !waits.contains { Due(instant: $0, isOfWait: true) < due },
                "something was due before on \(name)"
            )
        }
        if case .timePassed = event {
            try require(deadlines.first == due, "something was due before, on other names")
            lastDue = due.instant
            return
        }
        let isOfEvent = names.count == 1 && subjects.contains(names.first)
        // What was tied then need not be any more.
        if isOfEvent && accounts[names.first]?.tieCount == 0 { return }
        try require(!perhapsTied.isEmpty, "something ended on names that the event is not about")
        try require(deadlines.first == due, "something was due before, on other names")
        workedOffElsewhereCount += 1
    }

    /// Nothing that was due later ends before a grant, unless that was put off: others that were may have to come first.
    func requireOrder(ofGrantTo wait: Wait, since due: MonotonicInstant) throws(Complaint) {
        guard case .timePassed = event, !wait.isPutOff else { return }
        try require(due >= lastDue, "something due at \(due) ended after what was due at \(lastDue)")
    }

    /// Requests work off no more than one turn does of what is due anywhere.
    mutating func requireSlices() throws(Complaint) {
        switch event {
        case .acquireRequested, .releaseRequested, .renewRequested, .cancelRequested, .revokeRequested, .nameInspected,
            .inputEnded, .bindingEnded, .sessionDetached, .sessionAttached:
            try require(
                workedOffElsewhereCount <= limits.endingsPerTurn,
                "\(workedOffElsewhereCount) endings on behalf of requests at one instant"
            )
            if !perhapsTied.isEmpty { workedOffCount += workCount }
        case .sessionOpened, .sessionEnded, .tokensReserved, .bytesBuffered, .progressDue, .timePassed: break
        case .grantsSuspended: break
        }
    }

    /// Finds out which leases have ended without a word.
    mutating func count(knewAllSilent: Bool) throws(Complaint) {
        let count = tableLeaseCount - holders.count
        try require(
            count >= 0 && count <= silent.count,
            "there are \(tableLeaseCount) leases, but \(holders.count) and at most \(silent.count)"
        )
        silentCount = count
        var worksOffInOrder = !subjects.isEmpty && tied == subjects
        if case .timePassed = event { worksOffInOrder = true }
        if count == 0 {
            silent = [:]
        } else if knewAllSilent && worksOffInOrder {
            let inOrder = silent.sorted { ($0.value.at, $0.key) < ($1.value.at, $1.key) }
            for lease in inOrder.prefix(silent.count - count) { silent[lease.key] = nil }
        }
    }

    /// Whoever could be granted is, unless as many were as one turn grants.
    mutating func requireNobodyForgotten() throws(Complaint) {
        if grantCount >= limits.grantsPerTurn {
            for number in openWaits { waits[number]?.isPutOff = true }
        }
        switch event {
        case .sessionEnded, .bindingEnded: return
        default: break
        }
        for number in openWaits {
            guard let wait = waits[number] else { continue }
            try require(
                wait.isPutOff || wait.names.contains(where: mayHaveSilent),
                "forgotten: \(wait.names) is free and waited for by \(wait.request.id) since \(wait.openSince as Any)"
            )
        }
    }

    mutating func forgetSilent(on names: LockNames) {
        if silent.isEmpty { return }
        for name in names { silent = silent.filter { !$0.value.names.contains(name) } }
    }

    func mayHaveSilent(_ name: LockName) -> Bool { silent.values.contains { $0.names.contains(name) } }

    func requireLimits(of id: SessionID) throws(Complaint) {
        guard let client = clients[id] else { return }
        try require(
            client.leases.count + client.waits.count <= largestLimits.leasesPerSession
                && client.waits.count <= largestLimits.waitersPerSession,
            "session \(id) is over its limits"
        )
        try require(
            leaseLoad + waitLoad <= largestLimits.leases && waits.count <= largestLimits.waiters,
            "the table is over its limits"
        )
    }

    /// What the table says of a name that stands in the way is true of one of these.
    func requireSituation(_ names: [LockName], _ holding: Holding?, _ waiterCount: Int) throws(Complaint) {
        let known = names.map { name in
            let account = accounts[name, default: Account()]
            let first = account.holders.first.flatMap { holders[$0.token] }
            let holding = first.map {
                let held = now - $0.grantedAt
                return Holding(
                    session: $0.session,
                    held: held,
                    note: $0.request.note,
                    holderCount: account.holders.count
                )
            }
            return (holding: holding, waiterCount: account.queue.count)
        }
        if known.contains(where: { $0.holding == holding && $0.waiterCount == waiterCount }) { return }
        let isHeldSo = known.contains { $0.holding == holding }
        try require(isHeldSo, "the holder is \(known.map(\.holding)), not \(holding as Any)")
        try require(false, "\(known.map(\.waiterCount)) wait, not \(waiterCount)")
    }

    /// The names of which each may be the first that stands in the way of a new request; none if it can be granted.
    ///
    /// It is one, unless the table may not have noticed yet that a lease has ended.
    func obstacles(to request: AcquireRequest) -> [LockName] {
        obstacles(on: request.names) { accounts[$0, default: Account()].isFree(for: request.holderLimit) }
    }

    /// The same of one that waits; the first of its names if there is none.
    func obstacles(to wait: Wait) -> [LockName] {
        let obstacles = obstacles(on: wait.names) { name in
            accounts[name]?.queue.first == wait.number && accounts[name]?.admitsFirstSince != nil
        }
        // If the last one is not sure to be one, there may be none.
        return obstacles.last.map(mayHaveSilent) == false ? obstacles : obstacles + [wait.names.first]
    }

    private func obstacles(on names: LockNames, isFree: (LockName) -> Bool) -> [LockName] {
        var obstacles: [LockName] = []
        for name in names {
            if !isFree(name) { return obstacles + [name] }
            if mayHaveSilent(name) { obstacles.append(name) }
        }
        return obstacles
    }

    func mayQueue(_ request: AcquireRequest) -> Bool {
        request.wait != .none
            && request.names.allSatisfy { accounts[$0]?.queue.count ?? 0 < request.terms.queueLimit ?? .max }
    }
}

/// Which lease is meant.
extension Auditor {
    /// Whether the lease is left only because others come first that were to be granted the name before it was over, or because more is due than
    /// one turn ends.
    private func isOver(_ holder: Holder) -> Bool { holder.deadline.map { $0 <= now } ?? false }

    /// The leases that the owner of the request has on any of the names already.
    func leasesOfItsOwner(_ request: AcquireRequest) -> [Holder] {
        let tokens = Set(request.names.flatMap { accounts[$0]?.holders.map(\.token) ?? [] })
        return tokens.compactMap { holders[$0] }.filter { holder in
            if isOver(holder) { return false }
            let held = holder.request
            guard holder.session == request.id.session else { return false }
            if let owner = request.owner { return owner == held.owner }
            return request.id.tag == nil && held.id.tag == nil && held.owner == nil
        }
    }

    /// Of these the strictest that is on all of the names, the first of those that are equal.
    func strictestCovering(_ request: AcquireRequest) -> Holder? {
        leasesOfItsOwner(request).filter { Set($0.names).isSuperset(of: request.names) }.min {
            ($0.request.holderLimit, $0.token) < ($1.request.holderLimit, $1.token)
        }
    }

    /// The lease that a request speaks of: the one with the token, or the first; of `session`, or of anybody.
    func leaseAsked(_ name: LockName, _ token: FencingToken?, of session: SessionID? = nil) -> Holder? {
        (accounts[name]?.holders ?? []).lazy.compactMap { holders[$0.token] }.first { holder in
            let isOwn = (session ?? holder.session) == holder.session
            return !isOver(holder) && (token ?? holder.token) == holder.token
                && (isOwn || token != nil && holder.request.boundHolder != nil && mayAct(session, for: holder))
        }
    }

    /// Whether the lease that the event speaks of does not exist.
    func isNotHeldAsAsked(_ name: LockName, by session: SessionID) -> Bool {
        switch event {
        case .releaseRequested(_, name, let token), .renewRequested(_, name, let token, _):
            leaseAsked(name, token, of: session) == nil
        case .revokeRequested(_, name, let token, _): leaseAsked(name, token) == nil
        default: false
        }
    }

    /// Whether the session is of the user of the holder, or of root.
    private func mayAct(_ session: SessionID?, for holder: Holder) -> Bool {
        guard let user = session.flatMap({ clients[$0]?.peer.user }) else { return false }
        return user == UserID(0) || user != UserID(65534) && user == clients[holder.session]?.peer.user
    }

    func mayRevoke(_ id: RequestID, _ lease: Holder?) -> Bool {
        guard let holder = lease?.session, let user = clients[id.session]?.peer.user else { return false }
        if holder == id.session || user == UserID(0) { return true }
        return user == clients[holder]?.peer.user && user != UserID(65534)
    }
}
