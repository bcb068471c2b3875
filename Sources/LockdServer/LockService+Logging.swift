import LockdCore
import LockdModel
import LockdWire

/// What is written down for the next daemon, before anybody is told.
extension LockService {
    /// Writes down all that has changed, in one step.
    ///
    /// To be called before anything else is received and before anything is written to a socket.
    mutating func commit(at now: MonotonicInstant) {
        guard let log, hasUncommitted else { return }
        if table.hasChanges { recordTable(in: log) }
        if !changedBounds.isEmpty { recordBounds(in: log) }
        var unrecorded: [Session] = []
        while let session = logChanges.popLast() {
            session.logged.isChanged = false
            recordInput(of: session, in: log)
            if !recordOutput(of: session, in: log) { unrecorded.append(session) }
        }
        if log.isOverfull || !log.isRoomy {
            grow(log, at: now)
            if log.isOverfull { unrecorded.forEach { tear($0, in: log) } }
        }
        if log.isHalfFull { clean(log) }
        log.commit(nextToken: table.nextToken, lastSession: lastSession)
        if log.isToBePublished { publish(log, at: now) }
    }

    private var hasUncommitted: Bool {
        !logChanges.isEmpty || table.hasChanges || !changedBounds.isEmpty || log?.hasChanges == true
    }

    /// Takes note that everything was written to the sockets that they took, of what was committed.
    mutating func noteWritten(at now: MonotonicInstant) {
        guard let log else { return }
        while let session = backlogChanges.popLast() { recordBacklog(of: session, in: log) }
        if log.hasChanges { commit(at: now) }
        log.noteRepliesWritten()
        log.noteAlive(at: now)
    }

    /// Sees to it that what was received of a session, or said to it, is recorded with the next commit.
    mutating func recordLater(_ session: Session) {
        guard !session.logged.isChanged, log != nil else { return }
        session.logged.isChanged = true
        logChanges.append(session)
    }

    /// Sees to it that what a socket did not take is recorded when the turn ends.
    mutating func recordBacklogLater(_ session: Session) {
        guard !session.logged.isBacklogChanged, log != nil else { return }
        if session.output.isEmpty, !session.logged.hasBacklog { return }
        session.logged.isBacklogChanged = true
        backlogChanges.append(session)
    }

    /// Takes back what is recorded of a session's input, so that all of it is recorded as it stands with the next commit.
    mutating func recordInputAnew(of session: Session) {
        if let log, let slot = session.logged.slot, let recorded = session.logged.input {
            log.appendInputTaken(UInt64(recorded.count), isAll: true, of: slot)
            session.logged.input = nil
        }
        recordLater(session)
    }

    /// Records all that a session was told and that was not written, as it stands now, in place of what was recorded of that before.
    func recordOutputAnew(of session: Session) {
        if let log { recordBacklog(of: session, in: log) }
    }

    /// Records all that is recorded of a session besides its bytes anew.
    mutating func noteChange(of session: Session) {
        if log != nil, session.state != .ended { table.noteChange(of: session.id) }
    }

    // MARK: The table

    private mutating func recordTable(in log: WriteAheadLog) {
        table.takeChanges(claims: &changedClaims, sessions: &changedSessions)
        // What has gone comes first: of a commit that is read in part nobody is to hold what another one holds.
        while let slot = changedClaims.popLast() {
            if table.hasClaim(in: slot) { livingClaims.append(slot) } else { log.appendClaimGone(slot) }
        }
        while let slot = changedSessions.popLast() { recordSession(in: slot, log) }
        while let slot = livingClaims.popLast() { recordClaim(in: slot, log) }
    }

    private mutating func recordClaim(in slot: Int, _ log: WriteAheadLog) {
        if let claim = table.plainClaim(in: slot) {
            log.append(claim, in: slot)
        } else if let claim = table.claimRecord(in: slot) {
            log.append(claim, in: slot)
        }
    }

    private mutating func recordSession(in slot: Int, _ log: WriteAheadLog) {
        guard let record = table.sessionRecord(in: slot) else { return log.appendSessionGone(slot) }
        let session = sessions[record.id]
        session?.logged.slot = slot
        log.append(
            LogRecord.Session(
                table: record,
                process: session?.process ?? .unknown,
                client: session?.client,
                hasSpoken: session?.hasSpoken ?? false,
                isResumable: session?.isResumable ?? false,
                watch: session.flatMap { $0.watch.map { $0.prefix } },
                missedCount: session?.watch?.missedCount ?? 0
            ),
            in: slot
        )
    }

    private mutating func recordBounds(in log: WriteAheadLog) {
        while let id = changedBounds.popLast() {
            if let lease = bound[id] {
                let slot = boundSlots.insert(id)
                log.append(LogRecord.Bound(session: id, lease: lease), in: slot)
            } else if let slot = boundSlots.remove(id) {
                log.appendBoundGone(slot)
            }
        }
    }

    // MARK: Bytes

    private func recordInput(of session: Session, in log: WriteAheadLog) {
        guard session.state != .ended, let slot = session.logged.slot else { return }
        let (start, count) = (session.input.takenByteCount, session.input.bufferedByteCount)
        let end = start + UInt64(count)
        if count == 0, !session.input.isDiscarding {
            if let former = session.logged.input {
                log.appendInputTaken(UInt64(former.count), isAll: true, of: slot)
                session.logged.input = nil
            }
            return
        }
        session.input.withBufferedBytes { bytes in
            guard let former = session.logged.input, former.upperBound >= start, !session.input.isDiscarding else {
                return log.appendInput(bytes, isDiscarding: session.input.isDiscarding, of: slot)
            }
            if start > former.lowerBound {
                log.appendInputTaken(start - former.lowerBound, isAll: false, of: slot)
            }
            if end > former.upperBound {
                let new = bytes[(bytes.count - Int(end - former.upperBound))...]
                log.appendInputAdded(UnsafeRawBufferPointer(rebasing: new), of: slot)
            }
        }
        session.logged.input = start..<end
    }

    /// Records what a session was told since the last time; says whether there was room.
    private func recordOutput(of session: Session, in log: WriteAheadLog) -> Bool {
        let (end, recorded) = (session.output.appendedByteCount, session.logged.outputEnd)
        guard end > recorded, !session.logged.isTorn else { return true }
        session.logged.outputEnd = end
        return session.output.withUnsentBytes { bytes in
            // All of it: what was recorded of it is forgotten with the session.
            guard session.state != .ended, let slot = session.logged.slot else {
                return bytes.isEmpty || log.appendFarewell(bytes, of: session.id)
            }
            // Some may be in the socket already without having been recorded: a watcher's, that would not have had room otherwise.
            let new = UnsafeRawBufferPointer(rebasing: bytes[max(0, bytes.count - Int(end - recorded))...])
            guard !new.isEmpty else { return true }
            return session.logged.hasBacklog
                ? log.appendBacklogAdded(new, of: slot) : log.appendReply(new, of: slot)
        }
    }

    private func recordBacklog(of session: Session, in log: WriteAheadLog) {
        session.logged.isBacklogChanged = false
        guard session.state != .ended, let slot = session.logged.slot, !session.logged.isTorn else { return }
        session.logged.hasBacklog = !session.output.isEmpty
        session.logged.outputEnd = session.output.appendedByteCount
        if session.output.isEmpty { return log.appendBacklogGone(slot) }
        let skipped = session.output.skippedByteCount
        let hasRoom = session.output.withLines { log.appendBacklog($0, skipping: skipped, of: slot) }
        if !hasRoom { tear(session, in: log) }
    }

    /// Takes note that a session cannot be gone on with, but with another connection: what it is told is not recorded.
    private func tear(_ session: Session, in log: WriteAheadLog) {
        guard !session.logged.isTorn, session.state != .ended, let slot = session.logged.slot else { return }
        session.logged.isTorn = true
        log.appendTorn(slot)
    }

    // MARK: Room

    /// Whether an ACQUIRE can be recorded.
    mutating func hasRoom(for terms: AcquireTerms, at now: MonotonicInstant) -> Bool {
        guard let log, !log.isRoomy else { return true }
        let count = Self.loggedByteCount(of: terms)
        if log.admit(count) { return true }
        grow(log, at: now)
        return log.admit(count)
    }

    /// The most that such a request takes in the log, and what it is bound to.
    private static func loggedByteCount(of terms: AcquireTerms) -> Int {
        let fixed = 256 + (terms.binding == nil ? 0 : 1024)
        return fixed + LogWriter.byteCount(of: terms.names) + LogWriter.byteCount(of: terms.owner)
            + LogWriter.byteCount(of: terms.note)
    }

    /// Records everything in a larger file, if there is room for one.
    private mutating func grow(_ log: WriteAheadLog, at now: MonotonicInstant) {
        if let noGrowthBefore, now < noGrowthBefore { return }
        let capacity = max(WriteAheadLog.capacity(for: log.liveByteCount), log.isOverfull ? 2 * log.capacity : 0)
        do {
            guard capacity <= WriteAheadLog.largestCapacity, capacity > log.capacity else { return }
            try log.beginRewriting(capacity: capacity)
            recordEverything(in: log)
            // Not before the commit: the line that is being taken now is nowhere but among the bytes that were received into the former file.
            log.isToBePublished = true
            noGrowthBefore = nil
        } catch {
            noGrowthBefore = now + .seconds(1)
            logProblem("the log cannot grow, so new leases may be refused", "\(error)")
        }
    }

    /// Puts a log that has grown in the place of the former one.
    private mutating func publish(_ log: WriteAheadLog, at now: MonotonicInstant) {
        if let noGrowthBefore, now < noGrowthBefore { return }
        do {
            try log.publish()
        } catch {
            noGrowthBefore = now + .seconds(1)
            logProblem("the log cannot take its place, so what happens now would not survive the daemon", "\(error)")
        }
    }

    /// Records all that there is, in an empty log.
    mutating func recordEverything(in log: WriteAheadLog) {
        let counts = table.recordSlotCounts
        changedClaims = Array(0..<counts.claims)
        changedSessions = Array(0..<counts.sessions)
        recordTable(in: log)
        changedBounds = Array(bound.keys)
        recordBounds(in: log)
        for session in Array(sessions.values) + dirty where session.state != .ended || !session.output.isEmpty {
            session.logged.input = nil
            recordInput(of: session, in: log)
            session.logged.isTorn = false
            session.logged.outputEnd = session.output.sentByteCount
            if session.logged.hasBacklog, session.state != .ended {
                recordBacklog(of: session, in: log)
            } else {
                _ = recordOutput(of: session, in: log)
            }
        }
    }

    /// Writes again what still counts of the oldest records, a little of it.
    private mutating func clean(_ log: WriteAheadLog) {
        var cleaned = 0
        while let header = log.nextRecordToKeep(cleaned: &cleaned) {
            recordAgain(header, in: log)
            if log.isOverfull { return }
            log.dropOldest()
        }
    }

    private mutating func recordAgain(_ header: LogRing.Header, in log: WriteAheadLog) {
        switch header.kind {
        case .claim: recordClaim(in: header.slot, log)
        case .session: recordSession(in: header.slot, log)
        case .bound:
            if let id = boundSlots[header.slot], let lease = bound[id] {
                log.append(LogRecord.Bound(session: id, lease: lease), in: header.slot)
            }
        case .input, .inputAdded, .inputTaken:
            guard let session = session(inLogSlot: header.slot) else { return }
            session.logged.input = nil
            recordInput(of: session, in: log)
        case .backlog, .backlogAdded:
            guard let session = session(inLogSlot: header.slot) else { return }
            recordBacklog(of: session, in: log)
        case .torn:
            if session(inLogSlot: header.slot)?.logged.isTorn == true { log.appendTorn(header.slot) }
        case .skip, .claimGone, .sessionGone, .boundGone, .backlogGone, .reply, .farewell: break
        }
    }

    private mutating func session(inLogSlot slot: Int) -> Session? {
        table.sessionRecord(in: slot).flatMap { sessions[$0.id] }
    }
}
