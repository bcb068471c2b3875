import LockdCore
import LockdModel
import LockdWire

/// Requests to events.
extension LockService {
    mutating func perform(
        _ request: consuming Request,
        _ id: RequestID,
        of session: Session,
        at now: MonotonicInstant
    ) {
        switch consume request {
        case .hello(let hello): greet(session, hello, id)
        case .acquire(let terms):
            acquire(AcquireRequest(id, terms), of: session, at: now)
        case .release(let name, let token): apply(.releaseRequested(id, name, token: token), at: now)
        case .renew(let name, let token, let timeToLive):
            apply(.renewRequested(id, name, token: token, timeToLive: timeToLive), at: now)
        case .cancel(let tag): apply(.cancelRequested(id, tag: tag), at: now)
        case .revoke(let name, let token, let reason):
            apply(.revokeRequested(id, name, token: token, reason: reason), at: now)
        case .show(let name, let page): show(name, page.after, lineLimit(of: page, for: session), id, at: now)
        case .list(let prefix, let page): list(prefix, page.after, lineLimit(of: page, for: session), id, at: now)
        case .history(let name): tellHistory(of: name, id, at: now)
        case .watch(let prefix): watch(prefix, id, in: session)
        case .unwatch: unwatch(id, in: session)
        case .stats: sayStatistics(id, at: now)
        case .histograms(let page): sayHistograms(page.after, lineLimit(of: page, for: session), id)
        case .ping: answer(id, .pong)
        case .quit: quit(session, id, at: now)
        }
    }

    private mutating func acquire(_ request: consuming AcquireRequest, of session: Session, at now: MonotonicInstant) {
        let id = request.id
        guard hasRoom(for: request.terms, at: now) else {
            return refuse(
                WireError(.logFull, want: "space-in-the-directory-of-the-socket"),
                tag: id.tag,
                to: session
            )
        }
        if let binding = request.terms.binding {
            do throws(WireError) {
                request.boundHolder = try bind(binding, for: session)
            } catch {
                return refuse(error, tag: id.tag, to: session)
            }
        }
        // Until its answer comes, an untagged request holds back what follows it. It may come at once.
        session.isBlocked = id.tag == nil
        apply(.acquireRequested(request), at: now)
        // Others first, before this one can make the table search as long again.
        countSearch(table.searchCost, of: session)
    }

    private mutating func bind(_ binding: Binding, for session: Session) throws(WireError) -> BoundHolder {
        guard let binder else { throw WireError(.tooManyDescriptors, limit: 0, scope: .daemon) }
        let id = makeSessionID()
        let target = try binder.bind(binding, for: session, as: id)
        bound[id] = BoundLease(target: target, asker: session.id)
        changedBounds.append(id)
        return BoundHolder(session: id, peer: target.peer)
    }

    private mutating func greet(_ session: Session, _ hello: Request.Hello, _ id: RequestID) {
        if session.hasSpoken {
            counts.refusedLines += 1
            return answer(id, .error(WireError(.lateHello, want: "first-line")))
        }
        if let number = hello.resume, number != session.id, let former = sessions[number] {
            return resume(former, in: session, hello, id)
        }
        session.client = hello.client
        session.isResumable = true
        noteChange(of: session)
        answer(id, .welcome(welcome(to: session)))
    }

    private mutating func quit(_ session: Session, _ id: RequestID, at now: MonotonicInstant) {
        if session.state == .open {
            session.state = .draining
            apply(.inputEnded(session.id), at: now)
        }
        answer(id, .bye)
        session.state = .ended
        sessions[session.id] = nil
        endWatch(of: session)
        recordLater(session)
        apply(.sessionEnded(session.id), at: now)
    }

    private mutating func show(
        _ name: LockName,
        _ after: Cursor?,
        _ limit: Int,
        _ id: RequestID,
        at now: MonotonicInstant
    ) {
        apply(.nameInspected(name), at: now)
        answer(id, with: table.lines(of: name, after: after, lineLimit: limit, at: now))
    }

    private mutating func list(
        _ prefix: LockName?,
        _ after: Cursor?,
        _ limit: Int,
        _ id: RequestID,
        at now: MonotonicInstant
    ) {
        answer(id, with: table.lines(withPrefix: prefix, after: after, lineLimit: limit, at: now))
    }

    private mutating func answer(_ id: RequestID, with page: (lines: [LockTable.Line], next: Cursor?)) {
        for line in page.lines {
            switch line {
            case .lease(let lease): answer(id, .lease(describe(lease)))
            case .waiter(let waiter): answer(id, .waiter(describe(waiter)))
            }
        }
        answer(id, .end(next: page.next))
    }

    private mutating func sayStatistics(_ id: RequestID, at now: MonotonicInstant) {
        let totals = table.totals
        let statistics: [(String, String)] = [
            ("version", identity.version), ("pid", "\(identity.process)"), ("uptime", "\((now - startedAt).count)ms"),
            ("start-time", "\(identity.startTime)"),
            ("sessions", "\(sessions.count)"), ("bound", "\(bound.count)"), ("watchers", "\(watchers.count)"),
            ("detached", "\(sessions.values.count { $0.isDetached })"),
            ("log-bytes", "\(log?.liveByteCount ?? 0)"), ("log-limit-bytes", "\(log?.sizes.largestCapacity ?? 0)"),
            ("locks", "\(table.lockCount)"), ("leases", "\(table.leaseCount)"),
            ("waiters", "\(table.waiterCount)"), ("granted", "\(totals.granted)"), ("released", "\(totals.released)"),
            ("expired", "\(totals.expired)"), ("revoked", "\(totals.revoked)"), ("ended", "\(totals.ended)"),
            ("timeouts", "\(totals.timeouts)"), ("cancelled", "\(totals.cancelled)"), ("busy", "\(totals.busy)"),
            ("deadlocks", "\(totals.deadlocks)"),
            ("refused", "\(totals.refused + counts.refusedLines)"), ("sessions-accepted", "\(counts.accepted)"),
            ("sessions-refused", "\(counts.refused)"), ("sessions-limit", "\(limits.sessions)"),
            ("leases-limit", "\(limits.leases)"), ("waiters-limit", "\(limits.waiters)"),
            ("sessions-per-user-limit", "\(min(limits.sessionsPerUser, limits.sessions))"),
            ("leases-per-user-limit", "\(min(limits.leasesPerUser, limits.leases))"),
            ("waiters-per-user-limit", "\(min(limits.waitersPerUser, limits.waiters))"),
            ("bytes-per-user-limit", "\(limits.bytesPerUser)"),
        ]
        for (key, value) in statistics { answer(id, .statistic(key: key, value: value)) }
        answer(id, .end(next: nil))
    }
}
