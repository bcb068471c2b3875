import LockdModel
import LockdWire

/// What the answers of the daemon, and its events, mean.
extension ClientCore {
    mutating func apply(_ line: TaggedReply, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        if let tag = line.tag {
            // A tag that is not the client's cannot be the answer to anything.
            guard let id = RequestID(tag), let purpose = outstanding[id], !isAside(line.reply, id, purpose, &actions)
            else { return }
            outstanding[id] = nil
            answer(id, purpose, line.reply, now, &actions)
        } else if case .lost(_, let token, let reason) = line.reply {
            endLease(token, Ending(reason), &actions)
        } else if case .error(let error) = line.reply {
            // Every request has a tag, so it is the session that is refused.
            breakOff(.refused(error, names: nil), &actions)
        } else {
            breakOff(unexpected(line.reply), &actions)
        }
    }

    /// The most lines that may come before the answer to a request: as many as a page of the daemon has.
    private static let linesBeforeAnswer = ProtocolLimits.pageLineCount

    /// Takes note of a line that comes before the answer, if it is one.
    private mutating func isAside(
        _ reply: Reply,
        _ id: RequestID,
        _ purpose: Outstanding,
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
        case (.abandonedAcquire, .queued), (.abandonedAcquire, .edge), (.unwanted, .hold): break
        default: return false
        }
        return true
    }

    private mutating func answer(
        _ id: RequestID,
        _ purpose: Outstanding,
        _ reply: Reply,
        _ now: MonotonicInstant,
        _ actions: inout [ClientAction]
    ) {
        switch purpose {
        case .hello:
            if case .welcome = reply { return }
            breakOff(.incompatibleDaemon(path, "it answers the greeting with \(reply.line)"), &actions)
        case .acquire(let names, let timeToLive):
            let edges = edges.removeValue(forKey: id) ?? []
            guard let completion = completion(of: names, reply, edges) else {
                return doubt(reply, id, purpose, &actions)
            }
            if case .granted(_, let token, _) = completion { hold(token, names, timeToLive, now) }
            actions.append(.complete(id, completion))
        case .boundAcquire(let names):
            let edges = edges.removeValue(forKey: id) ?? []
            switch completion(of: names, reply, edges) {
            case .granted(let names, let token, let predecessor):
                actions.append(.complete(id, .bound(names, token, after: predecessor)))
            // Nobody here has cancelled it.
            case .failed where reply.isCancelled: actions.append(.complete(id, .failed(.bindingEnded(names))))
            case let completion?: actions.append(.complete(id, completion))
            case nil: doubt(reply, id, purpose, &actions)
            }
        case .abandonedAcquire:
            if case .granted(let names, let token, _, _) = reply {
                send(.release(names.first, token: token), .unwanted)
            }
        case .release(let token):
            if case .released = reply { return endLease(token, .released, &actions) }
            if case .notHeld = reply { return endLease(token, .lost(.unknown), &actions) }
            breakOff(unexpected(reply), &actions)
        case .renew(let token, let sentAt):
            if case .renewed(_, _, let timeToLive) = reply { return renewed(token, timeToLive, sentAt) }
            if case .notHeld = reply { return endLease(token, .lost(.unknown), &actions) }
            breakOff(unexpected(reply), &actions)
        case .ping:
            if case .pong = reply { return actions.append(.complete(id, .done)) }
            doubt(reply, id, purpose, &actions)
        case .change, .history: answerOther(id, purpose, reply, &actions)
        case .unwanted: break
        }
    }

    /// Requests about leases that are not this client's.
    private mutating func answerOther(
        _ id: RequestID,
        _ purpose: Outstanding,
        _ reply: Reply,
        _ actions: inout [ClientAction]
    ) {
        switch (purpose, reply) {
        case (.change, .released), (.change, .renewed): actions.append(.complete(id, .done))
        case (.change(let name, let token), .notHeld):
            actions.append(.complete(id, .failed(.notHeld(name, token))))
        case (.history, .end):
            actions.append(.complete(id, .history(holds.removeValue(forKey: id) ?? [])))
        case (.change(let name, _), .error(let error)), (.history(let name), .error(let error)):
            actions.append(.complete(id, .failed(.refused(error, names: LockNames(name)))))
        default: doubt(reply, id, purpose, &actions)
        }
    }

    /// Gives up a connection on which that came as the answer to request `id`, which is still to be answered, like all the others.
    private mutating func doubt(
        _ reply: Reply,
        _ id: RequestID,
        _ purpose: Outstanding,
        _ actions: inout [ClientAction]
    ) {
        outstanding[id] = purpose
        breakOff(unexpected(reply), &actions)
    }

    /// What an answer means for the caller who asked for the lock; nothing if it cannot be the answer to that.
    private func completion(
        of names: LockNames,
        _ reply: Reply,
        _ edges: [DeadlockEdge]
    ) -> ClientAction.Completion? {
        switch reply {
        case .granted(_, let token, _, let predecessor): .granted(names, token, after: predecessor)
        case .held(_, let token, _): .failed(.alreadyHeld(names, token))
        case .busy(_, let holder, let waiterCount):
            .failed(.waitTimedOut(names, waited: nil, holder, waiterCount: waiterCount))
        case .timedOut(_, let waited, let holder, let waiterCount):
            .failed(.waitTimedOut(names, waited: waited, holder, waiterCount: waiterCount))
        case .deadlock: .failed(.deadlock(names, edges))
        // Nobody here has cancelled it, so the daemon ends the session.
        case .cancelled: .failed(.connectionLost(path, "the daemon has ended the session").about(names))
        case .error(let error): .failed(.refused(error, names: names))
        case .welcome, .released, .renewed, .notHeld, .waitCancelled, .notWaiting, .lease, .waiter, .end, .revoked,
            .denied, .statistic, .pong, .bye, .lost, .lostEverything, .restored, .queued, .edge, .hold, .watching,
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
            case .logDamaged, .other: self = .lost(.unknown)
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

    fileprivate var isCancelled: Bool {
        if case .cancelled = self { true } else { false }
    }
}
