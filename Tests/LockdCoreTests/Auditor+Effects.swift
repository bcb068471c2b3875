import LockdCore
import LockdModel

/// What an auditor expects of events and effects.
extension Auditor {
    /// Notes what the event says, before its effects.
    mutating func begin() {
        switch event {
        case .sessionOpened(let id, let peer): clients[id] = Client(peer: peer)
        case .acquireRequested(let request):
            requestCount += 1
            asking = request.id
            noteBinding(of: request)
            noteResending(of: request)
        case .sessionDetached, .sessionAttached: break
        case .grantsSuspended(let instant): suspend(until: instant)
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
        case .bytesBuffered(let user, let count): buffered[user] = count
        case .bindingEnded, .progressDue, .timePassed: break
        }
    }

    /// Looks for what should have come of the event and did not.
    mutating func finish(_ effects: [Effect]) throws(Complaint) {
        switch event {
        case .acquireRequested(let request):
            // What was not answered at once waits from now on.
            guard asking != nil else { break }
            try require(leaseFromBefore(request) == nil, "a request waits that was granted before")
            let client = clients[request.id.session]
            try require(mayQueue(request) && client?.isDraining == false, "a request waits that cannot")
            try requireSettled(request.names)
            let isFree = obstacles(to: request).isEmpty
            try require(!isFree || grantsAreSuspended, "forgotten: a request waits for a free name")
            try require(leasesOfItsOwner(request).isEmpty, "a request waits for its own lease")
            // To play on with everything that is known takes long where much is.
            if limits.deadlockSearch > 1000, waits.count < 50 || lastArrival % 50 == 0 {
                try require(!isHopeless(request), "a request waits for ever")
            }
            try requireRoomOfUser(for: request, waits: true, isFree: isFree)
            enqueue(request)
            try noteFirstReport(of: lastArrival)
            try requireLimits(of: request.id.session)
        case .releaseRequested, .renewRequested, .cancelRequested, .revokeRequested:
            try require(asking == nil, "no answer")
        case .nameInspected(let name):
            try requireSettled(LockNames(name))
        case .inputEnded(let id):
            try require(clients[id]?.waits.isEmpty != false, "a session waits that has no input")
        case .sessionDetached(let id): holdBack(id)
        case .sessionAttached(let id): attach(id)
        case .sessionOpened, .sessionEnded, .tokensReserved, .bytesBuffered, .grantsSuspended:
            try require(effects.isEmpty, "effects of an event that has none: \(effects)")
        case .bindingEnded(let id): try endBinding(of: id)
        case .progressDue: break
        case .timePassed:
            let count = endingCount + silentEndingCount
            try require(count <= limits.endingsPerTurn, "\(count) endings in one turn")
        }
        try require(revokedToken == nil && cancelledTag == nil, "only one of two was told")
        try require(grantCount <= limits.grantsPerTurn, "\(grantCount) grants in one turn")
        try requireSlices()
    }

    mutating func observe(_ effect: Effect) throws(Complaint) {
        switch effect {
        case .sendGranted(let id, let names, let token, let timeToLive, let predecessor):
            try granted(id, names, token, timeToLive, predecessor)
        case .sendHeld(let id, let names, let token, let timeToLive):
            try held(id, names, token, timeToLive)
        case .sendBusy(let id, let names, let holding, let waiterCount):
            try busy(id, names, holding, waiterCount)
        case .sendTimedOut(let id, let names, let waited, let holding, let waiterCount):
            try timedOut(id, names, waited, holding, waiterCount)
        case .sendCancelled(let id, let names, let waited):
            try cancelled(id, names, waited)
        case .sendReleased(let id, let names, let token):
            guard case .releaseRequested(_, let name, let asked) = event else {
                throw Complaint("RELEASED after \(event)")
            }
            try answer(id, LockNames(name))
            guard let lease = leaseAsked(name, asked, of: id.session), lease.token == token, lease.names == names else {
                throw Complaint("RELEASED without lease, at \(now) after \(event)")
            }
            vacate(lease, at: now)
            totals.released += 1
        case .sendRenewed(let id, let names, let token, let timeToLive):
            guard case .renewRequested(_, let name, let asked, let length) = event else {
                throw Complaint("RENEWED after \(event)")
            }
            try answer(id, LockNames(name))
            let lease = leaseAsked(name, asked, of: id.session)
            try require(lease?.token == token && lease?.names == names, "RENEWED without lease")
            move(token, to: length ?? lease?.timeToLive)
            try require(holders[token]?.timeToLive == timeToLive, "RENEWED for another time")
        case .sendNotHeld(let id, let name):
            try answer(id, LockNames(name))
            try require(isNotHeldAsAsked(name, by: id.session), "NOTHELD, but it is held")
        case .sendWaitCancelled(let id, let tag):
            try require(id == asking && tag == cancelledTag, "CANCELLED \(tag) that was not")
            (asking, cancelledTag) = (nil, nil)
        case .sendNotWaiting(let id, let tag):
            try require(id == asking && event == .cancelRequested(id, tag: tag), "NOTWAITING to nobody")
            try require(clients[id.session]?.tags[tag] == nil, "NOTWAITING, but \(tag) waits")
            asking = nil
        case .sendRevoked(let id, _, let token):
            guard case .revokeRequested(id, _, _, _) = event else { throw Complaint("REVOKED after \(event)") }
            try require(id == asking && revokedToken == token, "REVOKED, but the holder was not told")
            (asking, revokedToken) = (nil, nil)
        case .sendDenied(let id, let names, let token, let user):
            guard case .revokeRequested(_, let name, let asked, _) = event else {
                throw Complaint("DENIED after \(event)")
            }
            try answer(id, LockNames(name))
            let lease = leaseAsked(name, asked)
            try require(lease?.token == token && lease?.names == names, "DENIED of another lease")
            try require(!mayRevoke(id, lease), "DENIED, but it is allowed")
            try require(lease.flatMap { clients[$0.session]?.peer.user } == user, "DENIED for another user")
        case .sendRefused(let id, let refusal):
            try refused(id, refusal)
        case .sendLost(let session, let names, let token, let reason):
            try lost(session, names, token, reason)
        case .sendDeadlock(let id, let names, let edges): try deadlocked(id, names, edges)
        case .sendQueued(let id, let names, let queueing): try queued(id, names, queueing)
        case .unbind(let id): try unbound(id)
        case .observe: throw Complaint("observed, though nobody watches")
        }
    }
}

/// The answers to a request.
extension Auditor {
    private mutating func held(
        _ id: RequestID,
        _ names: LockNames,
        _ token: FencingToken,
        _ timeToLive: Milliseconds?
    ) throws(Complaint) {
        let request = try answerAcquire(id)
        guard let holder = holders[token], holder.timeToLive == timeToLive, holder.names == names else {
            throw Complaint("HELD of another lease, at \(now) after \(event)")
        }
        let covering = strictestCovering(request)
        try require(covering?.token == token, "HELD by another owner")
        try require(holder.request.holderLimit <= request.holderLimit, "HELD, but less strict than was asked for")
    }

    private mutating func busy(
        _ id: RequestID,
        _ names: LockNames,
        _ holding: Holding?,
        _ waiterCount: Int
    ) throws(Complaint) {
        let request = try answerAcquire(id)
        try require(request.names == names, "BUSY of other names")
        try require(leasesOfItsOwner(request).isEmpty, "BUSY instead of HELD")
        try require(!mayQueue(request) || clients[id.session]?.isDraining == true, "BUSY, but the request can wait")
        let obstacles = obstacles(to: request)
        try require(!obstacles.isEmpty || grantsAreSuspended, "BUSY, but nobody holds \(names)")
        try requireSituation(obstacles.isEmpty ? Array(names) : obstacles, holding, waiterCount)
        totals.busy += 1
    }

    private mutating func cancelled(_ id: RequestID, _ names: LockNames, _ waited: Milliseconds) throws(Complaint) {
        if let wait = waitInVain(id, names) { return try endInVain(wait, waited) }
        try requireSettled(names)
        let wait = waits.values.filter { $0.request.id == id && $0.names == names }.min { $0.number < $1.number }
        guard let wait else { throw Complaint("CANCELLED \(id), which does not wait for \(names) at \(now)") }
        if case .cancelRequested(let canceller, let tag) = event {
            try require(id == RequestID(canceller.session, tag: tag), "CANCELLED another wait")
            cancelledTag = tag
        } else if let bound = wait.request.boundHolder?.session, event == .bindingEnded(bound) {
            // It was to be bound to what has ended.
        } else {
            try require(event == .inputEnded(id.session), "CANCELLED by nobody")
        }
        try require(waited == now - wait.since, "CANCELLED after another time")
        leave(wait, at: now)
        totals.cancelled += 1
    }

    private mutating func refused(_ id: RequestID, _ refusal: Refusal) throws(Complaint) {
        guard case .acquireRequested(let request) = event, id == asking, let client = clients[id.session] else {
            throw Complaint("refused \(id) after \(event)")
        }
        try require(
            leaseFromBefore(request) == nil || id.tag.flatMap { client.tags[$0] } != nil,
            "refused, but granted"
        )
        let requestCount = client.leases.count + client.waits.count
        switch refusal {
        case .tagInUse(let tag):
            guard tag == id.tag, let wait = client.tags[tag].flatMap({ waits[$0] }) else {
                throw Complaint("tag \(tag) is free")
            }
            try requireSettled(wait.names)
        case .stricterLease:
            try requireSettled(request.names)
            let covering = strictestCovering(request)?.request.holderLimit
            try require(covering.map { $0 > request.holderLimit } == true, "refused, but no lease is less strict")
        case .partlyHeld:
            try requireSettled(request.names)
            try require(!leasesOfItsOwner(request).isEmpty, "refused, but its owner holds none of the names")
            try require(strictestCovering(request) == nil, "refused, but one lease has all of the names")
        case .tooManyLeasesOfSession(let limit):
            try require(limit == limits.leasesPerSession && requestCount >= limit, "has only \(requestCount)")
        case .tooManyLeases(let limit):
            // Where something was put off, it counts for each of its names.
            let openNameCount = waits.values.reduce(0) { count, wait in
                count + (openWaits.contains(wait.number) || wait.graceEnd != nil ? wait.names.count : 0)
            }
            let silentLoad = silent.values.reduce(0) { $0 + $1.names.count }
            let most = leaseLoad + waitLoad + silentLoad + openNameCount
            let mayAdd = obstacles(to: request).isEmpty || request.names.count > 1 || request.holderLimit != .exclusive
            let isTooMuch = most + request.names.count > limit
            try require(
                (mayAdd || mayHaveSilent(request)) && limit == limits.leases && isTooMuch,
                "there are only \(most) leases"
            )
        case .tooManyWaitersOfSession(let limit):
            try require(
                mustWait(request) && limit == limits.waitersPerSession && client.waits.count >= limit,
                "it waits for \(client.waits.count) only"
            )
        case .tooManyWaiters(let limit):
            try require(
                mustWait(request) && limit == limits.waiters && waits.count >= limit,
                "there are only \(waits.count) waits"
            )
        case .tooManyLeasesOfUser, .tooManyWaitersOfUser, .tooManyBytesOfUser:
            try requireNoRoomOfUser(for: request, refusal)
        }
        switch refusal {
        case .tagInUse, .stricterLease, .partlyHeld: break
        case .tooManyLeases, .tooManyLeasesOfSession, .tooManyWaiters, .tooManyWaitersOfSession, .tooManyLeasesOfUser,
            .tooManyWaitersOfUser, .tooManyBytesOfUser:
            try require(leasesOfItsOwner(request).isEmpty, "refused instead of HELD")
        }
        asking = nil
        totals.refused += 1
    }

    /// Whether the end of a lease on one of the names may have gone unnoticed.
    private func mayHaveSilent(_ request: AcquireRequest) -> Bool { request.names.contains(where: mayHaveSilent) }
}
