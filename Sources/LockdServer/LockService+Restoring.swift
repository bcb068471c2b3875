import LockdCore
import LockdModel
import LockdWire

/// Going on where the daemon before has stopped.
extension LockService {
    /// Brings back the sessions of which the table has been told, each with what was received of it and said to it.
    ///
    /// None of them has a connection yet: see ``attach(_:at:)`` and ``detach(_:at:)``. Until ``endRestoring()`` the log of the daemon before is the one
    /// that counts.
    mutating func restore(_ contents: LogContents) {
        isRestoring = true
        lastSession = contents.sessions.map(\.table.id).reduce(contents.lastSession, max)
        lastSession = contents.claims.compactMap(\.boundHolder?.session).reduce(lastSession, max)
        for record in contents.sessions where record.table.endedAt == nil && !record.table.isBound {
            guard table.recordSlot(of: record.table.id) != nil else { continue }
            restore(record, contents)
        }
        var boundWaits: Set<SessionID> = []
        for slot in 0..<table.recordSlotCounts.claims {
            guard let claim = table.claimRecord(in: slot), claim.token == nil else { continue }
            // It holds back what the session has sent behind it.
            if claim.id.tag == nil { sessions[claim.session]?.isBlocked = true }
            if let holder = claim.boundHolder { boundWaits.insert(holder.session) }
        }
        for bound in contents.bounds
        where boundWaits.contains(bound.session) || table.recordSlot(of: bound.session) != nil {
            self.bound[bound.session] = bound.lease
        }
        for session in sessions.values where !session.isBlocked && session.hasLinesLeft { makeRunnable(session) }
    }

    private mutating func restore(_ record: LogRecord.Session, _ contents: LogContents) {
        let id = record.table.id
        let peer = record.table.peer
        let session = Session(id: id, peer: peer, process: record.process, user: sessions(of: peer.user))
        users[peer.user] = session.user
        sessions[id] = session
        session.client = record.client
        session.hasSpoken = record.hasSpoken
        session.isResumable = record.isResumable
        if let prefix = record.watch {
            session.watch = Watch(prefix: prefix)
            session.watch?.missedCount = record.missedCount
            watchers.append(session)
            watchers.sort { $0.id < $1.id }
            table.isObserved = true
        }
        if let input = contents.inputs[id] {
            session.input = LineFramer(
                limit: ProtocolLimits.lineByteCount,
                goingOnWith: input.bytes,
                isDiscarding: input.isDiscarding
            )
            session.hasLinesLeft = !input.bytes.isEmpty
        }
        if let output = contents.outputs[id] {
            session.output = OutputBuffer(output.lines, skipping: output.skipping)
            // Until it is written: nothing else says that it has not been.
            session.logged.hasBacklog = true
        }
        session.logged.isTorn = contents.torn.contains(id)
        count(session)
    }

    /// Brings back a session that has ended and has not read its last words.
    mutating func restoreFarewell(_ words: [UInt8], of id: SessionID) -> Session {
        let peer = Peer(process: ProcessID(0), user: .overflow)
        let session = Session(id: id, peer: peer, user: sessions(of: peer.user))
        users[peer.user] = session.user
        session.state = .ended
        session.output = OutputBuffer(words, skipping: 0)
        markDirty(session)
        return session
    }

    /// Everything is as it was: from now on what happens is recorded as it happens.
    mutating func endRestoring() { isRestoring = false }

    /// The sessions that are there, the oldest first.
    var restoredSessions: [Session] { sessions.values.sorted { $0.id < $1.id } }

    /// Takes note that a session has the connection that it had before; what it is told of that comes before what it may be told again.
    mutating func attach(_ session: Session, isDamaged: Bool, at now: MonotonicInstant) {
        if session.isDetached {
            session.isDetached = false
            apply(.sessionAttached(session.id), at: now)
        }
        var lines: [UInt8] = []
        ReplyEncoder.encode(.restored(session.id, remainder(of: session)), tag: nil, to: &lines)
        if isDamaged { appendLoss(of: session, to: &lines) }
        session.output.insertBehindFirstLine(lines)
        markDirty(session)
    }

    /// Takes note that a session has lost its connection, and may come back.
    mutating func detach(_ session: Session, isDamaged: Bool, at now: MonotonicInstant) {
        if !session.isDetached {
            session.isDetached = true
            apply(.sessionDetached(session.id), at: now)
        }
        guard isDamaged else { return }
        var lines: [UInt8] = []
        appendLoss(of: session, to: &lines)
        session.output.insertBehindFirstLine(lines)
        recordLater(session)
    }

    /// Begins a session with a connection of which nothing is known, because the log is damaged.
    mutating func tellOfDamage(_ session: Session) {
        say(.lostEverything(reason: .logDamaged), to: session)
    }

    private func appendLoss(of session: Session, to lines: inout [UInt8]) {
        guard remainder(of: session).leaseCount == 0 else { return }
        ReplyEncoder.encode(.lostEverything(reason: .logDamaged), tag: nil, to: &lines)
    }

    /// Grants nothing for a while, so that whoever believes to hold something can be heard of.
    mutating func suspendGrants(until instant: MonotonicInstant, at now: MonotonicInstant) {
        apply(.grantsSuspended(until: instant), at: now)
    }
}
