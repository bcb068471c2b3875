import LockdModel
import LockdWire

/// What the answers of the daemon, and its events, mean.
extension ClientCore {
    mutating func apply(_ line: TaggedReply, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        if case .closing(let id) = connection {
            // Nobody waits for anything else any more.
            if case .bye = line.reply { closed(id, &actions) }
            return
        }
        if let tag = line.tag {
            // A tag that is not the client's cannot be the answer to anything.
            guard let id = RequestID(tag), let request = outstanding[id], !isAskedAgain(request, line.reply),
                !isAside(line.reply, id, request.purpose, &actions)
            else { return }
            outstanding[id] = nil
            if case .connected = connection { backoff.reset() }
            return answer(id, request, line.reply, now, &actions)
        }
        switch line.reply {
        case .lost(_, let token, let reason): endLease(token, Ending(reason), &actions)
        case .lostEverything(let reason):
            for token in leases.keys.sorted() { endLease(token, Ending(reason), &actions) }
        // The session goes on, and nothing is to be asked for again.
        case .restored: break
        // Every request has a tag, so it is the session that is refused.
        case .error(let error): refused(error, now, &actions)
        default: breakOff(unexpected(line.reply), &actions)
        }
    }

    /// Whether `reply` is not to be relied on, because the request is sent again.
    ///
    /// While a session is being resumed, what is told in several lines may come without the first of them. And a wait has ended there because its turn came while
    /// there was no connection, not because somebody cancelled it.
    private func isAskedAgain(_ request: Outstanding, _ reply: Reply) -> Bool {
        guard case .resuming = connection else { return false }
        return switch (request.purpose, reply) {
        case (_, .edge), (_, .deadlock), (_, .hold), (.history, .end): true
        case (.acquire, .cancelled), (.boundAcquire, .cancelled): true
        default: false
        }
    }

    /// The most lines that may come before the answer to a request: as many as a page of the daemon has.
    private static let linesBeforeAnswer = ProtocolLimits.pageLineCount

    /// Takes note of a line that comes before the answer, if it is one.
    private mutating func isAside(
        _ reply: Reply,
        _ id: RequestID,
        _ purpose: Outstanding.Purpose,
        _ actions: inout [ClientAction]
    ) -> Bool {
        switch (purpose, reply) {
        case (.acquire(let names, _), .queued(_, let position, let on, let holder, let waiterCount)),
            (.boundAcquire(let names), .queued(_, let position, let on, let holder, let waiterCount)):
            let progress = WaitProgress(
                lockNames: names.strings,
                position: position,
                blockingName: on?.string,
                holder: holder.map(LockHolder.init),
                waiterCount: waiterCount
            )
            actions.append(.report(id, progress))
        case (.acquire, .edge(let line)), (.boundAcquire, .edge(let line)):
            if edges[id]?.count == Self.linesBeforeAnswer {
                breakOff(unexpected(reply), &actions)
            } else {
                edges[id, default: []].append(DeadlockEdge(line))
            }
        case (.history, .hold(let line)):
            if holds[id]?.count == Self.linesBeforeAnswer {
                breakOff(unexpected(reply), &actions)
            } else {
                holds[id, default: []].append(Hold(line))
            }
        case (.over, .queued), (.over, .edge): break
        default: return false
        }
        return true
    }

    private mutating func answer(
        _ id: RequestID,
        _ request: Outstanding,
        _ reply: Reply,
        _ now: MonotonicInstant,
        _ actions: inout [ClientAction]
    ) {
        switch request.purpose {
        case .hello: greeted(reply, now, &actions)
        case .barrier:
            guard case .pong = reply, case .resuming(let id) = connection else {
                return breakOff(unexpected(reply), &actions)
            }
            begin(id, now)
        case .acquire, .boundAcquire: answerAcquire(id, request, reply, now, &actions)
        case .over(let token):
            // There may be a second answer, so this is over with that to the CANCEL.
            outstanding[id] = request
            if case .granted(let names, let other, _, _) = reply, other != token {
                send(.release(names.first, token: other), .unwanted, now)
            }
        case .cancel(let other): if case .over = outstanding[other]?.purpose { outstanding[other] = nil }
        case .release(let token):
            if case .released = reply { return endLease(token, .released, &actions) }
            if case .notHeld = reply {
                // It may have been released by the same words, said on the connection before.
                return endLease(token, request.isRepeated ? .released : .lost(.unknown), &actions)
            }
            breakOff(unexpected(reply), &actions)
        case .renew(let token, let sentAt):
            if case .renewed(_, _, let timeToLive) = reply { return renewed(token, timeToLive, sentAt) }
            if case .notHeld = reply { return endLease(token, .lost(.unknown), &actions) }
            breakOff(unexpected(reply), &actions)
        case .ping:
            if case .pong = reply { return actions.append(.complete(id, .done)) }
            doubt(reply, id, request, &actions)
        case .change, .history: answerOther(id, request, reply, &actions)
        case .unwanted: break
        }
    }

    private mutating func greeted(_ reply: Reply, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        switch reply {
        case .welcome(let welcome): welcomed(welcome, now, &actions)
        case .error(let error) where error.code == .foreignProcess || error.code == .logFull:
            refused(error, now, &actions)
        default: breakOff(.incompatibleDaemon(path, "it answers the greeting with \(reply.line)"), &actions)
        }
    }

    private mutating func answerAcquire(
        _ id: RequestID,
        _ request: Outstanding,
        _ reply: Reply,
        _ now: MonotonicInstant,
        _ actions: inout [ClientAction]
    ) {
        if case .cancelled = reply, request.isRepeated {
            // Its turn came before the session was resumed, and its end crossed with the request as it was sent again.
            outstanding[id] = request
            return write(id, now)
        }
        let edges = edges.removeValue(forKey: id) ?? []
        var token: FencingToken?
        switch (request.purpose, completion(of: request, reply, edges)) {
        case (.acquire(_, let timeToLive), .granted(let names, let granted, let predecessor)?):
            token = granted
            hold(granted, names, timeToLive, now)
            actions.append(.complete(id, .granted(names, granted, after: predecessor)))
        case (_, .granted(let names, let granted, let predecessor)?):
            token = granted
            actions.append(.complete(id, .bound(names, granted, after: predecessor)))
        case (_, let completion?): actions.append(.complete(id, completion))
        case (_, nil): return doubt(reply, id, request, &actions)
        }
        if request.isRepeated {
            // If this is what had been answered before, the daemon may take the request that was sent again for a new one.
            outstanding[id] = request
            abandon(id, token, now)
        }
    }

    /// Requests about leases that are not this client's.
    private mutating func answerOther(
        _ id: RequestID,
        _ request: Outstanding,
        _ reply: Reply,
        _ actions: inout [ClientAction]
    ) {
        switch (request.purpose, reply) {
        case (.change, .released), (.change, .renewed): actions.append(.complete(id, .done))
        case (.change(let name, let token, let ends), .notHeld):
            // What ended it may have been the same words, said on the connection before.
            let isDone = ends && request.isRepeated
            actions.append(.complete(id, isDone ? .done : .failed(.notHeld(name, token))))
        case (.history, .end):
            actions.append(.complete(id, .history(holds.removeValue(forKey: id) ?? [])))
        case (.change(let name, _, _), .error(let error)), (.history(let name), .error(let error)):
            actions.append(.complete(id, .failed(.refused(error, names: LockNames(name)))))
        default: doubt(reply, id, request, &actions)
        }
    }

    /// Gives up a connection on which that came as the answer to request `id`, which is still to be answered, like all the others.
    private mutating func doubt(
        _ reply: Reply,
        _ id: RequestID,
        _ request: Outstanding,
        _ actions: inout [ClientAction]
    ) {
        outstanding[id] = request
        breakOff(unexpected(reply), &actions)
    }

    /// What an answer means for the caller who asked for the lock; nothing if it cannot be the answer to that.
    private func completion(
        of request: Outstanding,
        _ reply: Reply,
        _ edges: [DeadlockEdge]
    ) -> ClientAction.Completion? {
        guard case .acquire(let terms) = request.request else { return nil }
        let names = terms.names
        return switch reply {
        case .granted(_, let token, _, let predecessor): .granted(names, token, after: predecessor)
        case .held(_, let token, _): .failed(.alreadyHeld(names, token))
        case .busy(_, let holder, let waiterCount):
            .failed(.waitTimedOut(names, waited: nil, holder, waiterCount: waiterCount))
        case .timedOut(_, let waited, let holder, let waiterCount):
            .failed(.waitTimedOut(names, waited: waited, holder, waiterCount: waiterCount))
        case .deadlock: .failed(.deadlock(names, edges))
        // Nobody here has cancelled it, so it is what it was to be bound to that has ended, or the session.
        case .cancelled where terms.binding != nil: .failed(.bindingEnded(names))
        case .cancelled: .failed(.connectionLost(path, "the daemon has ended the session").about(names))
        case .error(let error): .failed(.refused(error, names: names))
        case .welcome, .released, .renewed, .notHeld, .waitCancelled, .notWaiting, .lease, .waiter, .end, .revoked,
            .denied, .statistic, .histogram, .pong, .bye, .lost, .lostEverything, .restored, .queued, .edge, .hold,
            .watching,
            .unwatched, .watched:
            nil
        }
    }

    private mutating func hold(
        _ token: FencingToken,
        _ names: LockNames,
        _ timeToLive: Milliseconds?,
        _ now: MonotonicInstant
    ) {
        leases[token] = Lease(names: names, timeToLive: timeToLive, renewal: .never)
        // The daemon's deadline counts from the grant, which is a little earlier; from the first renewal on, it is this process that is early.
        planRenewal(of: token, from: now)
    }

    private mutating func renewed(_ token: FencingToken, _ timeToLive: Milliseconds?, _ sentAt: MonotonicInstant) {
        guard leases[token] != nil else { return }
        if let timeToLive { leases[token]?.timeToLive = timeToLive }
        planRenewal(of: token, from: sentAt)
    }

    /// Ends a lease, unless it has ended, and answers whoever waits for that.
    mutating func endLease(_ token: FencingToken, _ ending: Ending, _ actions: inout [ClientAction]) {
        guard let lease = leases.removeValue(forKey: token) else { return }
        switch ending {
        case .released: actions.append(.endLease(token, .released))
        case .lost(let reason, let revocation):
            let loss = LeaseLoss(reason, revocation, lockNames: lease.names.strings, token: token.value)
            actions.append(.endLease(token, .lost(loss)))
        }
        for id in lease.releasedFor { actions.append(.complete(id, .done)) }
    }

    /// How a lease ends.
    enum Ending {
        case released
        case lost(LeaseLoss.Reason, LeaseLoss.Revocation? = nil)

        init(_ reason: Reply.LossReason) {
            switch reason {
            case .expired: self = .lost(.expired)
            case .revoked(let user, let process, let why):
                self = .lost(.revoked, LeaseLoss.Revocation(user: user, process: process, why: why))
            case .logDamaged: self = .lost(.logDamaged)
            case .other: self = .lost(.unknown)
            }
        }
    }

    private func unexpected(_ reply: Reply) -> LockdClientError { .outOfPlace(path, reply) }
}

extension LockdClientError {
    /// The daemon has said something that does not belong where it said it.
    static func outOfPlace(_ path: String, _ reply: Reply) -> Self {
        .incompatibleDaemon(path, "it said, where that does not belong, \(reply.line)")
    }
}

extension Reply {
    fileprivate var line: String {
        var line: [UInt8] = []
        ReplyEncoder.encode(self, tag: nil, to: &line)
        return String(decoding: line.dropLast(), as: UTF8.self)
    }
}
