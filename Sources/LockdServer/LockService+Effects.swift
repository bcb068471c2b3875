import LockdCore
import LockdModel
import LockdWire

extension Reply.Peer {
    /// What is known of `session`, behind which `peer` is.
    init(_ session: SessionID, _ peer: Peer?) {
        self.init(
            session: session,
            process: peer?.process,
            user: peer?.user,
            command: peer?.command,
            unit: peer?.unit
        )
    }
}

/// Effects to replies.
extension LockService {
    mutating func perform(_ effect: consuming Effect) {
        switch consume effect {
        case .sendGranted(let id, let names, let token, let timeToLive, let predecessor):
            answer(id, .granted(names, token: token, timeToLive: timeToLive, after: predecessor))
        case .sendHeld(let id, let names, let token, let timeToLive):
            answer(id, .held(names, token: token, timeToLive: timeToLive))
        case .sendBusy(let id, let names, let holder, let waiterCount):
            answer(id, .busy(names, holder: describe(holder), waiterCount: waiterCount))
        case .sendQueued(let id, let names, let queueing):
            // No answer yet: an untagged request still holds back what follows it.
            guard let session = sessions[id.session] else { return }
            if session.isBackedUp {
                session.droppedReports.insert(id)
            } else {
                say(describe(names, queueing), tag: id.tag, to: session)
            }
        case .sendDeadlock(let id, let names, let edges):
            if let session = sessions[id.session] {
                for edge in edges { say(.edge(describe(edge)), tag: id.tag, to: session) }
            }
            answer(id, .deadlock(names, edgeCount: edges.count))
        case .sendTimedOut(let id, let names, let waited, let holder, let waiterCount):
            answer(id, .timedOut(names, waited: waited, holder: describe(holder), waiterCount: waiterCount))
        case .sendCancelled(let id, let names, let waited): answer(id, .cancelled(names, waited: waited))
        case .sendReleased(let id, let names, let token): answer(id, .released(names, token: token))
        case .sendRenewed(let id, let names, let token, let timeToLive):
            answer(id, .renewed(names, token: token, timeToLive: timeToLive))
        case .sendNotHeld(let id, let name): answer(id, .notHeld(name))
        case .sendWaitCancelled(let id, let tag): answer(id, .waitCancelled(tag))
        case .sendNotWaiting(let id, let tag): answer(id, .notWaiting(tag))
        case .sendRevoked(let id, let names, let token): answer(id, .revoked(names, token: token))
        case .sendDenied(let id, let names, let token, let holder):
            answer(id, .denied(names, token: token, holder: holder))
        case .sendRefused(let id, let refusal): answer(id, .error(describe(refusal)))
        case .sendLost: break  // Told before all other effects of its event.
        case .unbind(let id):
            bound[id] = nil
            changedBounds.append(id)
            binder?.unbind(id)
        case .observe(let observation): tellWatchers(observation)
        }
    }

    func describe(_ reason: LossReason) -> Reply.LossReason {
        switch reason {
        case .expired: .expired
        case .revoked(let by, let why):
            .revoked(by: sessions[by]?.peer.user, process: sessions[by]?.peer.process, why: why)
        }
    }

    func describe(_ lease: LockTable.LeaseLine) -> Reply.LeaseLine {
        Reply.LeaseLine(
            name: lease.name,
            token: lease.token,
            holderLimit: lease.holderLimit,
            peer: describe(lease.session),
            client: sessions[lease.session]?.client,
            held: lease.held,
            timeToLive: lease.timeToLive,
            left: lease.left,
            owner: lease.owner,
            note: lease.note,
            nameCount: lease.nameCount,
            binding: bound[lease.session]?.binding,
            detached: lease.detached,
            waiterCount: lease.waiterCount
        )
    }

    func describe(_ waiter: LockTable.WaiterLine) -> Reply.WaiterLine {
        Reply.WaiterLine(
            name: waiter.name,
            position: waiter.position,
            holderLimit: waiter.holderLimit,
            peer: describe(waiter.session),
            client: sessions[waiter.session]?.client,
            waited: waiter.waited,
            left: waiter.left,
            timeToLive: waiter.timeToLive,
            owner: waiter.owner,
            note: waiter.note,
            nameCount: waiter.nameCount,
            detached: waiter.detached
        )
    }

    private func describe(_ holder: Holding?) -> Reply.Holder? {
        holder.map {
            Reply.Holder(peer: describe($0.session), held: $0.held, note: $0.note, count: $0.holderCount)
        }
    }

    private func describe(_ names: LockNames, _ queueing: Queueing) -> Reply {
        .queued(
            names,
            position: queueing.position,
            on: queueing.obstacle,
            holder: describe(queueing.holder),
            waiterCount: queueing.waiterCount
        )
    }

    private func describe(_ edge: DeadlockEdge) -> Reply.EdgeLine {
        Reply.EdgeLine(
            name: edge.name,
            waiterProcess: describe(edge.waiter.session).process,
            waiterOwner: edge.waiter.owner,
            waiterSession: edge.waiter.session,
            holder: describe(edge.holder.session),
            holderOwner: edge.holder.owner,
            obstacle: edge.token.map { .lease(held: edge.since, token: $0) } ?? .request(waited: edge.since)
        )
    }

    private func describe(_ id: SessionID) -> Reply.Peer {
        Reply.Peer(id, sessions[id]?.peer ?? bound[id]?.peer)
    }

    private func describe(_ refusal: Refusal) -> WireError {
        switch refusal {
        case .tagInUse(let tag): WireError(.tagInUse, got: Text(tag))
        case .stricterLease: WireError(.stricterLease, want: "release-first")
        case .partlyHeld: WireError(.partlyHeld, want: "release-first")
        case .tooManyLeasesOfSession(let limit): WireError(.tooManyLeases, limit: limit, scope: .session)
        case .tooManyLeasesOfUser(let limit): WireError(.tooManyLeases, limit: limit, scope: .user)
        case .tooManyLeases(let limit): WireError(.tooManyLeases, limit: limit, scope: .daemon)
        case .tooManyWaitersOfSession(let limit): WireError(.tooManyWaiters, limit: limit, scope: .session)
        case .tooManyWaitersOfUser(let limit): WireError(.tooManyWaiters, limit: limit, scope: .user)
        case .tooManyWaiters(let limit): WireError(.tooManyWaiters, limit: limit, scope: .daemon)
        case .tooManyBytesOfUser(let limit): WireError(.tooManyBytes, limit: limit, scope: .user)
        }
    }
}
