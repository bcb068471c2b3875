import LockdCore
import LockdModel

/// What an auditor expects of events and effects.
extension Auditor {
    /// Notes what the event says, before its effects.
    mutating func begin() {
        switch event {
        case .sessionOpened(let id, let peer): clients[id] = Client(peer: peer)
        case .acquireRequested(let request): asking = request.id
        case .releaseRequested(let id, _, _): asking = id
        case .renewRequested(let id, _, _, _): asking = id
        case .cancelRequested(let id, _): asking = id
        case .revokeRequested(let id, _, _, _): asking = id
        case .nameInspected: break
        case .inputEnded(let id): clients[id]?.isDraining = true
        case .sessionEnded(let id):
            abandonLeases(of: id)
            clients[id] = nil
        case .tokensReserved(let through): reservedThrough = through
        case .timePassed: break
        }
    }

    /// Looks for what should have come of the event and did not.
    mutating func finish(_ effects: [Effect]) throws(Complaint) {
        switch event {
        case .acquireRequested(let request):
            // What was not answered at once waits from now on.
            guard asking != nil else { break }
            let client = clients[request.id.session]
            try require(mayQueue(request) && client?.isDraining == false, "a request waits that cannot")
            try requireSettled(request.name)
            let isFree = accounts[request.name, default: Account()].isFree(for: request.holderLimit)
            try require(!isFree, "forgotten: a request waits for a free name")
            enqueue(request)
            try requireLimits(of: request.id.session)
        case .releaseRequested, .renewRequested, .cancelRequested, .revokeRequested:
            try require(asking == nil, "no answer")
        case .nameInspected(let name):
            try requireSettled(name)
        case .inputEnded(let id):
            try require(clients[id]?.waitCount == 0, "a session waits that has no input")
        case .sessionOpened, .sessionEnded, .tokensReserved:
            try require(effects.isEmpty, "effects of an event that has none: \(effects)")
        case .timePassed:
            try require(endingCount <= limits.endingsPerTurn, "\(endingCount) endings in one turn")
        }
        try require(revokedToken == nil && cancelledTag == nil, "only one of two was told")
        try require(grantCount <= limits.grantsPerTurn, "\(grantCount) grants in one turn")
        for name in opened where grantCount < limits.grantsPerTurn {
            try require(accounts[name]?.openSince == nil, "forgotten: \(name) is free and waited for")
        }
    }

    mutating func observe(_ effect: Effect) throws(Complaint) {
        switch effect {
        case .sendGranted(let id, let name, let token, let timeToLive, let predecessor):
            try granted(id, name, token, timeToLive, predecessor)
        case .sendHeld(let id, let name, let token, let timeToLive):
            let request = try answer(id, name, isAcquire: true)
            let holder = holder(of: name, token)
            try require(holder != nil && holder?.timeToLive == timeToLive, "HELD of another lease")
            let held = request.flatMap(leaseOfItsOwner)
            try require(held?.token == token, "HELD by another owner")
            if let held, let request {
                try require(held.request.holderLimit <= request.holderLimit, "HELD, but less strict than was asked for")
            }
        case .sendBusy(let id, let name, let holding, let waiterCount):
            let request = try answer(id, name, isAcquire: true)
            guard let request else { throw Complaint("BUSY to nobody") }
            try require(leaseOfItsOwner(request) == nil, "BUSY instead of HELD")
            try require(
                !mayQueue(request) || clients[id.session]?.isDraining == true,
                "BUSY, but the request can wait"
            )
            let isFree = accounts[name, default: Account()].isFree(for: request.holderLimit)
            try require(!isFree, "BUSY, but nobody holds \(name)")
            try requireSituation(name, holding, waiterCount)
            totals.busy += 1
        case .sendTimedOut(let id, let name, let waited, let holding, let waiterCount):
            try timedOut(id, name, waited)
            try requireSituation(name, holding, waiterCount)
        case .sendCancelled(let id, let name, let waited):
            try cancelled(id, name, waited)
        case .sendReleased(let id, let name, let token):
            try answer(id, name)
            guard case .releaseRequested(_, _, let asked) = event else { throw Complaint("RELEASED after \(event)") }
            try require(leaseAsked(name, asked, of: id.session)?.token == token, "RELEASED without lease")
            vacate(name, token, at: now)
            totals.released += 1
        case .sendRenewed(let id, let name, let token, let timeToLive):
            try answer(id, name)
            guard case .renewRequested(_, _, let asked, let length) = event else {
                throw Complaint("RENEWED after \(event)")
            }
            try require(leaseAsked(name, asked, of: id.session)?.token == token, "RENEWED without lease")
            move(name, token, to: length ?? holder(of: name, token)?.timeToLive)
            try require(holder(of: name, token)?.timeToLive == timeToLive, "RENEWED for another time")
        case .sendNotHeld(let id, let name):
            try answer(id, name)
            try require(isNotHeldAsAsked(name, by: id.session), "NOTHELD, but it is held")
        case .sendWaitCancelled(let id, let tag):
            try require(id == asking && tag == cancelledTag, "CANCELLED \(tag) that was not")
            (asking, cancelledTag) = (nil, nil)
        case .sendNotWaiting(let id, let tag):
            try require(id == asking && event == .cancelRequested(id, tag: tag), "NOTWAITING to nobody")
            try require(clients[id.session]?.tags[tag] == nil, "NOTWAITING, but \(tag) waits")
            asking = nil
        case .sendRevoked(let id, let name, let token):
            guard case .revokeRequested(id, name, _, _) = event else { throw Complaint("REVOKED after \(event)") }
            try require(id == asking && revokedToken == token, "REVOKED, but the holder was not told")
            (asking, revokedToken) = (nil, nil)
        case .sendDenied(let id, let name, let token, let user):
            try answer(id, name)
            guard case .revokeRequested(_, _, let asked, _) = event else { throw Complaint("DENIED after \(event)") }
            let holder = leaseAsked(name, asked)
            try require(holder?.token == token && !mayRevoke(id, holder), "DENIED, but it is allowed")
            try require(holder.flatMap { clients[$0.request.id.session]?.peer.user } == user, "DENIED for another user")
        case .sendRefused(let id, let refusal):
            try refused(id, refusal)
        case .sendLost(let session, let name, let token, let reason):
            try lost(session, name, token, reason)
        }
    }
}

/// The effects that need more than a line.
extension Auditor {
    private mutating func granted(
        _ id: RequestID,
        _ name: LockName,
        _ token: FencingToken,
        _ timeToLive: Milliseconds?,
        _ predecessor: Predecessor
    ) throws(Complaint) {
        let account = accounts[name, default: Account()]
        try require(clients[id.session] != nil, "granted to \(id.session), which has ended")
        let request: AcquireRequest
        if let wait = account.queue.first {
            try require(wait.request.id == id, "\(id) overtook \(wait.request.id) for \(name)")
            let tokens = account.holders.map(\.token)
            guard let openSince = account.openSince else { throw Complaint("granted \(name) while \(tokens) hold it") }
            if let deadline = wait.deadline { try require(openSince <= deadline, "granted after its wait was over") }
            if notice(name) { noticedCount += 1 }
            try requireOrder(openSince)
            request = wait.request
            dequeue(name, at: 0)
            grantCount += 1
        } else {
            guard let asked = try answer(id, name, isAcquire: true) else { throw Complaint("granted unasked") }
            let tokens = account.holders.map(\.token)
            try require(account.admits(asked.holderLimit), "granted \(name) while \(tokens) hold it")
            try require(leaseOfItsOwner(asked) == nil, "GRANTED instead of HELD")
            request = asked
        }
        try require(token > lastToken && token <= reservedThrough, "token \(token) after \(lastToken)")
        lastToken = token
        try require(request.timeToLive == timeToLive, "granted with another ttl")
        occupy(request, token: token)
        totals.granted += 1
        try requireLimits(of: id.session)
        try told(name, of: predecessor)
    }

    /// Whoever is granted a name is told of a lease that was abandoned since the last one was told of one: of the last of them.
    private mutating func told(_ name: LockName, of predecessor: Predecessor) throws(Complaint) {
        let abandonments = accounts[name]?.abandonments ?? []
        // Where others may hold the name too, the table may not have noticed yet what has ended without a word.
        let hasNoticedAll = accounts[name]?.holders.last?.request.holderLimit == .exclusive
        guard case .abandoned(let abandonment) = predecessor else {
            let mayGoUntold = abandonments.allSatisfy { lease in
                lease.mayGoUntold || !hasNoticedAll && lease.abandonment.ending != .revoked
            }
            return try require(mayGoUntold, "nobody is told that \(name) was abandoned")
        }
        guard let index = abandonments.lastIndex(where: { $0.abandonment == abandonment }) else {
            throw Complaint("\(name) was not abandoned like this: \(abandonment)")
        }
        // Of those that went at the same instant, each may be called the last.
        let instant = abandonments[index].at
        let isLast = instant == abandonments.last?.at
        try require(isLast || !hasNoticedAll, "\(name) was abandoned by somebody else since")
        accounts[name]?.abandonments =
            hasNoticedAll
            ? []
            : abandonments[(index + 1)...].map { lease in
                Abandoned(at: lease.at, abandonment: lease.abandonment, mayGoUntold: lease.at == instant)
            }
    }

    /// Takes note that the table has noticed the end of a lease whose session has ended, if one was left.
    private mutating func notice(_ name: LockName) -> Bool {
        guard let count = abandoned[name] else { return false }
        abandoned[name] = count > 1 ? count - 1 : nil
        return true
    }

    private mutating func timedOut(_ id: RequestID, _ name: LockName, _ waited: Milliseconds) throws(Complaint) {
        let account = accounts[name, default: Account()]
        let mine = account.queue.indices.filter { account.queue[$0].request.id == id }
        let next = mine.min { isDue(account.queue[$0], before: account.queue[$1]) }
        guard let next, let deadline = account.queue[next].deadline else {
            throw Complaint("TIMEOUT of \(id), which does not wait for \(name) at \(now)")
        }
        try require(deadline <= now, "TIMEOUT before the wait is over")
        try require(
            !account.queue.contains { $0.deadline.map { $0 < deadline } ?? false },
            "another wait was over before"
        )
        let endsInTime = account.holders.contains { $0.deadline.map { $0 <= deadline } ?? false }
        let wasOpen = next == 0 && account.openSince.map { $0 <= deadline } ?? false
        try require(!endsInTime && !wasOpen, "TIMEOUT, but \(name) was free in time")
        try require(waited == now - account.queue[next].since, "TIMEOUT after another time")
        try requireOrder(deadline)
        dequeue(name, at: next)
        noteWhetherOpen(name, since: deadline)
        endingCount += 1
        totals.timeouts += 1
    }

    private mutating func cancelled(_ id: RequestID, _ name: LockName, _ waited: Milliseconds) throws(Complaint) {
        try requireSettled(name)
        guard let index = accounts[name]?.queue.firstIndex(where: { $0.request.id == id }) else {
            throw Complaint("CANCELLED \(id), which does not wait for \(name) at \(now)")
        }
        if case .cancelRequested(let canceller, let tag) = event {
            try require(id == RequestID(canceller.session, tag: tag), "CANCELLED another wait")
            cancelledTag = tag
        } else {
            try require(event == .inputEnded(id.session), "CANCELLED by nobody")
        }
        let since = accounts[name]?.queue[index].since
        try require(since.map { waited == now - $0 } == true, "CANCELLED after another time")
        dequeue(name, at: index)
        noteWhetherOpen(name, since: now)
        totals.cancelled += 1
    }

    private mutating func lost(
        _ session: SessionID,
        _ name: LockName,
        _ token: FencingToken,
        _ reason: LossReason
    ) throws(Complaint) {
        try require(clients[session] != nil, "LOST told to \(session), which has ended")
        let holder = holder(of: name, token)
        try require(holder?.request.id.session == session, "LOST \(name), which is not held so")
        switch reason {
        case .expired:
            guard let deadline = holder?.deadline, deadline <= now else { throw Complaint("LOST before time") }
            let waits = accounts[name]?.queue ?? []
            try require(
                !waits.contains { $0.deadline.map { $0 < deadline } ?? false },
                "a wait was over before the lease"
            )
            let others = accounts[name]?.holders ?? []
            try require(
                !others.contains { $0.deadline.map { $0 < deadline } ?? false },
                "another lease was over before"
            )
            try requireOrder(deadline)
            abandon(name, token, .expired, at: deadline)
            endingCount += 1
            totals.expired += 1
        case .revoked(let revoker, let why):
            guard case .revokeRequested(let id, name, let asked, why) = event, id.session == revoker, id == asking
            else {
                throw Complaint("LOST by a revocation that was not asked for")
            }
            try requireSettled(name)
            let lease = leaseAsked(name, asked)
            try require(lease?.token == token && mayRevoke(id, lease), "\(id) may not revoke \(name)")
            abandon(name, token, .revoked, at: now)
            revokedToken = token
            totals.revoked += 1
        }
    }

    private mutating func refused(_ id: RequestID, _ refusal: Refusal) throws(Complaint) {
        guard case .acquireRequested(let request) = event, id == asking, let client = clients[id.session] else {
            throw Complaint("refused \(id) after \(event)")
        }
        let requestCount = client.leases.count + client.waitCount
        let isFree = accounts[request.name, default: Account()].isFree(for: request.holderLimit)
        switch refusal {
        case .tagInUse(let tag):
            guard tag == id.tag, let name = client.tags[tag] else { throw Complaint("tag \(tag) is free") }
            try requireSettled(name)
        case .stricterLease:
            try requireSettled(request.name)
            let held = leaseOfItsOwner(request)?.request.holderLimit
            try require(held.map { $0 > request.holderLimit } == true, "refused, but no lease is less strict")
        case .tooManyLeasesOfSession(let limit):
            try require(limit == limits.leasesPerSession && requestCount >= limit, "has only \(requestCount)")
        case .tooManyLeases(let limit):
            let jointWaits = accounts.values.reduce(0) { count, account in
                count + account.queue.count { $0.request.holderLimit != .exclusive }
            }
            let most = leaseCount + abandoned.values.reduce(0, +) + jointWaits + openNames.count
            let mayBe = isFree || request.holderLimit != .exclusive
            try require(mayBe && limit == limits.leases && most >= limit, "there are only \(most) leases")
        case .tooManyWaitersOfSession(let limit):
            try require(
                !isFree && limit == limits.waitersPerSession && client.waitCount >= limit,
                "it waits for \(client.waitCount) only"
            )
        case .tooManyWaiters(let limit):
            try require(!isFree && limit == limits.waiters && waitCount >= limit, "there are only \(waitCount) waits")
        }
        asking = nil
        totals.refused += 1
    }
}

/// What must be so.
extension Auditor {
    /// Takes note that the event's request has its answer, which speaks of `name` as it is after everything due there has ended.
    @discardableResult
    private mutating func answer(
        _ id: RequestID,
        _ name: LockName,
        isAcquire: Bool = false
    ) throws(Complaint) -> AcquireRequest? {
        try require(id == asking, "\(id) is answered, which did not ask or had its answer")
        asking = nil
        try requireSettled(name)
        if case .acquireRequested(let request) = event, isAcquire, request.name == name { return request }
        try require(!isAcquire, "an answer to another request")
        return nil
    }

    /// Nothing is due on the name, and nobody waits for it without reason; unless more are to be granted it than one turn may.
    private mutating func requireSettled(_ name: LockName) throws(Complaint) {
        guard let account = accounts[name] else { return }
        if grantCount >= limits.grantsPerTurn && account.openSince != nil { return }
        try require(
            !account.holders.contains { $0.deadline.map { $0 <= now } ?? false },
            "the lease on \(name) is over"
        )
        try require(
            !account.queue.contains { $0.deadline.map { $0 <= now } ?? false },
            "a wait for \(name) is over"
        )
        try require(account.openSince == nil, "forgotten: \(name) is free and waited for")
        abandoned[name] = nil
    }

    /// What time ends, it ends in the order in which it was due.
    private mutating func requireOrder(_ due: MonotonicInstant) throws(Complaint) {
        guard case .timePassed = event else { return }
        try require(due >= lastDue, "something due at \(due) ended after what was due at \(lastDue)")
        lastDue = due
    }

    private func requireLimits(of id: SessionID) throws(Complaint) {
        guard let client = clients[id] else { return }
        try require(
            client.leases.count + client.waitCount <= limits.leasesPerSession
                && client.waitCount <= limits.waitersPerSession,
            "session \(id) is over its limits"
        )
        try require(leaseCount <= limits.leases && waitCount <= limits.waiters, "the table is over its limits")
    }

    private func requireSituation(_ name: LockName, _ holding: Holding?, _ waiterCount: Int) throws(Complaint) {
        let account = accounts[name, default: Account()]
        let known = account.holders.first.map { holder in
            let held = now - holder.grantedAt
            return Holding(session: holder.request.id.session, held: held, holderCount: account.holders.count)
        }
        try require(holding == known, "the holder is \(known as Any), not \(holding as Any)")
        try require(waiterCount == account.queue.count, "\(account.queue.count) wait, not \(waiterCount)")
    }

    private func isDue(_ wait: Wait, before other: Wait) -> Bool {
        guard let deadline = wait.deadline else { return false }
        return other.deadline.map { deadline < $0 } ?? true
    }

    private func mayQueue(_ request: AcquireRequest) -> Bool {
        let waiting = accounts[request.name]?.queue.count ?? 0
        return request.wait != .none && waiting < request.terms.queueLimit ?? .max
    }

    /// Whether the lease is left only because others come first that were to be granted the name before it was over.
    private func isOver(_ holder: Holder) -> Bool { holder.deadline.map { $0 <= now } ?? false }

    /// The lease that the owner of the request has on the name already.
    private func leaseOfItsOwner(_ request: AcquireRequest) -> Holder? {
        let leases = accounts[request.name]?.holders.filter { holder in
            if isOver(holder) { return false }
            let held = holder.request
            guard held.id.session == request.id.session else { return false }
            if let owner = request.owner { return owner == held.owner }
            return request.id.tag == nil && held.id.tag == nil && held.owner == nil
        }
        // The strictest; the first of those that are equal.
        return leases?.reduce(nil) { strictest, lease in
            guard let strictest, strictest.request.holderLimit <= lease.request.holderLimit else { return lease }
            return strictest
        }
    }

    /// The lease that a request speaks of: the one with the token, or the first; of `session`, or of anybody.
    private func leaseAsked(_ name: LockName, _ token: FencingToken?, of session: SessionID? = nil) -> Holder? {
        accounts[name]?.holders.first { holder in
            !isOver(holder) && (token ?? holder.token) == holder.token
                && (session ?? holder.request.id.session) == holder.request.id.session
        }
    }

    /// Whether the lease that the event speaks of does not exist.
    private func isNotHeldAsAsked(_ name: LockName, by session: SessionID) -> Bool {
        switch event {
        case .releaseRequested(_, name, let token), .renewRequested(_, name, let token, _):
            leaseAsked(name, token, of: session) == nil
        case .revokeRequested(_, name, let token, _): leaseAsked(name, token) == nil
        default: false
        }
    }

    private func mayRevoke(_ id: RequestID, _ lease: Holder?) -> Bool {
        guard let holder = lease?.request.id.session, let user = clients[id.session]?.peer.user else { return false }
        if holder == id.session || user == UserID(0) { return true }
        return user == clients[holder]?.peer.user && user != UserID(65534)
    }
}
