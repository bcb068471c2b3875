import LockdCore
import LockdModel
import LockdWire

/// What happens, and what has happened, to those who want to know.
extension LockService {
    mutating func tellHistory(of name: LockName, _ id: RequestID, at now: MonotonicInstant) {
        apply(.nameInspected(name), at: now)
        for hold in table.holds(of: name) {
            answer(
                id,
                .hold(
                    Reply.HoldLine(
                        name: name,
                        token: hold.token,
                        outcome: hold.outcome,
                        peer: Reply.Peer(hold.session, hold.peer),
                        waited: hold.waited,
                        held: hold.held,
                        ago: now - hold.endedAt,
                        note: hold.note
                    )
                )
            )
        }
        answer(id, .end(next: nil))
    }

    private func refusalToWatch(by user: UserID) -> WireError? {
        let limitOfUser = limits.exempts(user) ? .max : limits.watchersPerUser
        if watchers.count(where: { $0.peer.user == user }) >= limitOfUser {
            return WireError(.tooManyWatchers, limit: limitOfUser, scope: .user)
        }
        if watchers.count < limits.watchers { return nil }
        return WireError(.tooManyWatchers, limit: limits.watchers, scope: .daemon)
    }

    /// Tells a session of what happens from now on, in place of what it was told of before.
    mutating func watch(_ prefix: LockName?, _ id: RequestID, in session: Session) {
        if session.watch == nil, let refusal = refusalToWatch(by: session.peer.user) {
            return refuse(refusal, tag: id.tag, to: session)
        }
        if session.watch == nil { watchers.append(session) }
        tellMissed(to: session)
        session.watch = Watch(prefix: prefix)
        noteChange(of: session)
        table.isObserved = true
        answer(id, .watching(prefix: prefix))
    }

    mutating func unwatch(_ id: RequestID, in session: Session) {
        tellMissed(to: session)
        endWatch(of: session)
        answer(id, .unwatched)
    }

    mutating func endWatch(of session: Session) {
        guard session.watch != nil else { return }
        session.watch = nil
        noteChange(of: session)
        watchers.removeAll { $0 === session }
        table.isObserved = !watchers.isEmpty
    }

    /// Tells all who watch one of its names what has happened, or counts it for those who have too much to read.
    mutating func tellWatchers(_ observation: Observation) {
        // Encoded once for all of them.
        var line: [UInt8] = []
        for session in watchers where session.watch?.covers(observation.names) == true {
            guard hasRoom(session) else {
                session.watch?.missedCount += 1
                noteChange(of: session)
                continue
            }
            tellMissed(to: session)
            if line.isEmpty { ReplyEncoder.encode(.watched(WatchEvent(observation)), tag: nil, to: &line) }
            session.output.append { $0 += line }
            markDirty(session)
            if session.output.count > Self.outputLimit { makeCrowded(session) }
        }
    }

    /// Writes to those who watch and have much to read, as far as their sockets take it, so that they miss nothing because of what else this turn brings.
    ///
    /// Only between lines: first what they are told is written down.
    mutating func relieveWatchers(at now: MonotonicInstant) {
        if crowdedWatchers.isEmpty || isRestoring { return }
        commit(at: now)
        while let session = crowdedWatchers.popLast() {
            session.watch?.isCrowded = false
            flushWatcher(session)
            session.watch?.isStuck = session.isBackedUp
        }
    }

    private mutating func makeCrowded(_ session: Session) {
        guard session.watch?.isCrowded == false else { return }
        session.watch?.isCrowded = true
        crowdedWatchers.append(session)
    }

    /// Takes note that a session that watches has been written to, and tells it at once what it has missed, if it has read enough.
    mutating func catchUp(_ session: Session) {
        session.watch?.isStuck = false
        if !session.isBackedUp { tellMissed(to: session) }
    }

    /// Whether the session may be told something more.
    ///
    /// One line can bring more than may wait for a session that keeps up, so one that has taken everything so far may have more for the time being.
    private func hasRoom(_ session: Session) -> Bool {
        if !session.isBackedUp { return true }
        // Of a user of whom as much is kept as may be, nothing more is, not even for a while.
        return !session.user.isFull && session.watch?.isStuck == false
            && session.output.count <= Self.crowdedOutputLimit
    }

    private mutating func tellMissed(to session: Session) {
        guard let count = session.watch?.missedCount, count > 0 else { return }
        session.watch?.missedCount = 0
        noteChange(of: session)
        say(.watched(.missed(count: count)), to: session)
    }
}

extension WatchEvent {
    /// What is said of `observation`.
    init(_ observation: Observation) {
        let (names, peer) = (observation.names, Reply.Peer(observation.session, observation.peer))
        switch observation.happening {
        case .queued(let position, let note): self = .queued(names, by: peer, position: position, note: note)
        case .unqueued(let waited, .timeout): self = .unqueued(names, by: peer, waited: waited, reason: .timeout)
        case .unqueued(let waited, .cancelled): self = .unqueued(names, by: peer, waited: waited, reason: .cancelled)
        case .granted(let token, let waited, let note):
            self = .granted(names, to: peer, token: token, waited: waited, note: note)
        case .over(let outcome, let token, let held, let note):
            self = .over(names, of: peer, outcome, token: token, held: held, note: note)
        }
    }
}
