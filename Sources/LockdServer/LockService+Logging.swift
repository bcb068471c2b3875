import LockdCore
import LockdModel
import LockdWire

/// What is written down for the next daemon, before anybody is told.
extension LockService {
    /// Writes down all that has changed, in one step.
    ///
    /// To be called before anything else is received and before anything is written to a socket.
    mutating func commit(at now: MonotonicInstant) {
        guard let log, !isRestoring, hasUncommitted(log) else { return }
        saidByteCount = 0
        if table.hasChanges { recordTable(in: log) }
        if !changedBounds.isEmpty { recordBounds(in: log) }
        var unrecorded: [Session] = []
        for session in dirty where session.state != .ended {
            if session.logged.isInputChanged { recordInput(of: session, in: log) }
            if !recordOutput(of: session, in: log) { unrecorded.append(session) }
        }
        while let session = logChanges.popLast() {
            session.logged.isChanged = false
            if session.logged.isInputChanged { recordInput(of: session, in: log) }
            if !recordOutput(of: session, in: log) { unrecorded.append(session) }
        }
        if log.isToBeRewritten || !log.isRoomy || !unrecorded.isEmpty {
            grow(log, toTwiceTheSize: !unrecorded.isEmpty, &unrecorded, at: now)
        }
        unrecorded.forEach { tear($0, in: log) }
        if log.isToBeCleaned { clean(log) }
        log.commit(nextToken: table.nextToken, lastSession: lastSession)
        if log.isUnpublished { publish(log, at: now) }
    }

    /// Whether so much has changed since the last commit that the next one should not bring more; or something that is in the kernel's hands
    /// and has to be known of soon.
    var isCommitDue: Bool {
        mutating get {
            guard let log else { return false }
            return saidByteCount > Self.saidPerCommit || log.hasPromisedMuch || !changedBounds.isEmpty
        }
    }

    // Mutating, like all that is asked often: what is passed on by value would be copied as a whole.
    private mutating func hasUncommitted(_ log: WriteAheadLog) -> Bool {
        !dirty.isEmpty || !logChanges.isEmpty || table.hasChanges || !changedBounds.isEmpty || log.hasChanges
            || log.isHoldingReceived || log.nextToken != table.nextToken
    }

    /// Takes note that everything was written to the sockets that they took, of what was committed.
    mutating func noteWritten(at now: MonotonicInstant) {
        guard let log else { return }
        // What was said since the sockets were written to.
        for session in dirty where !session.output.isEmpty { recordBacklogLater(session) }
        for session in logChanges where !session.output.isEmpty { recordBacklogLater(session) }
        while let session = backlogChanges.popLast() {
            if !recordBacklog(of: session, in: log) { tear(session, in: log) }
        }
        if log.hasChanges { commit(at: now) }
        log.noteRepliesWritten()
        log.noteAlive(at: now)
    }

    /// Sees to it that what was received of a session, or said to it when it ended, is recorded with the next commit.
    mutating func recordLater(_ session: Session) {
        guard !session.logged.isChanged, log != nil else { return }
        session.logged.isChanged = true
        logChanges.append(session)
    }

    /// Sees to it that what a socket did not take is recorded when the turn ends.
    mutating func recordBacklogLater(_ session: Session) {
        guard !session.logged.isBacklogChanged, log != nil else { return }
        if session.output.isEmpty, !session.logged.hasBacklog, !session.logged.hasFarewell { return }
        session.logged.isBacklogChanged = true
        backlogChanges.append(session)
    }

    /// Records all that is recorded of a session besides its bytes anew.
    mutating func noteChange(of session: Session) {
        if log != nil, session.state != .ended { table.noteChange(of: session.id) }
    }

    // MARK: The table

    private mutating func recordTable(in log: WriteAheadLog) {
        table.takeChanges(claims: &changedClaims, sessions: &changedSessions)
        // What has gone comes first: of a commit that is read in part nobody is to hold what another one holds.
        for slot in changedClaims where !table.hasClaim(in: slot) { log.appendClaimGone(slot) }
        while let slot = changedSessions.popLast() { recordSession(in: slot, log) }
        for slot in changedClaims where table.hasClaim(in: slot) { recordClaim(in: slot, log) }
        changedClaims.removeAll(keepingCapacity: true)
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
                hasSpoken: session.map { $0.hasSpoken && $0.pendingHello == nil } ?? false,
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
        session.logged.isInputChanged = false
        guard session.state != .ended, let slot = session.logged.slot else { return }
        let (start, count) = (session.input.takenByteCount, session.input.bufferedByteCount)
        let end = start + UInt64(count)
        if let hello = session.pendingHello {
            (hello + session.input.withBufferedBytes { Array($0) }).withUnsafeBytes { lines in
                log.appendInput(lines, isDiscarding: false, of: slot)
            }
            (session.logged.input, session.logged.isInputStale) = (start..<end, true)
            return
        }
        if count == 0, !session.input.isDiscarding, !session.logged.isInputStale {
            if let former = session.logged.input {
                log.appendInputTaken(UInt64(former.count), isAll: true, of: slot)
                session.logged.input = nil
            }
            return
        }
        session.input.withBufferedBytes { bytes in
            guard let former = session.logged.input, former.upperBound >= start, !session.input.isDiscarding,
                !session.logged.isInputStale
            else {
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
        session.logged.isInputStale = false
    }

    /// Records what a session was told since the last time; says whether there was room.
    private mutating func recordOutput(of session: Session, in log: WriteAheadLog) -> Bool {
        if session.state == .ended { return recordFarewell(of: session, in: log) }
        if session.logged.isOutputStale { return recordBacklog(of: session, in: log) }
        let (end, recorded) = (session.output.appendedByteCount, session.logged.outputEnd)
        guard end > recorded, !session.logged.isTorn, let slot = session.logged.slot else { return true }
        session.logged.outputEnd = end
        return session.output.withUnsentBytes { bytes in
            // Some may be in the socket already without having been recorded: a watcher's, that would not have had room otherwise.
            let new = UnsafeRawBufferPointer(rebasing: bytes[max(0, bytes.count - Int(end - recorded))...])
            guard !new.isEmpty else { return true }
            return session.logged.hasBacklog
                ? log.appendBacklogAdded(new, of: slot) : log.appendReply(new, of: slot)
        }
    }

    /// Records what a socket did not take, as a whole; says whether there was room.
    private mutating func recordBacklog(of session: Session, in log: WriteAheadLog) -> Bool {
        session.logged.isBacklogChanged = false
        if session.state == .ended { return recordFarewell(of: session, in: log) }
        guard let slot = session.logged.slot, !session.logged.isTorn else { return true }
        session.logged.isOutputStale = false
        session.logged.hasBacklog = !session.output.isEmpty
        session.logged.outputEnd = session.output.appendedByteCount
        if session.output.isEmpty {
            log.appendBacklogGone(slot)
            return true
        }
        let skipped = session.output.skippedByteCount
        return session.output.withLines { log.appendBacklog($0, skipping: skipped, of: slot) }
    }

    /// Records what the socket of a session has not taken that has ended: what was recorded of it before is forgotten with the session.
    private mutating func recordFarewell(of session: Session, in log: WriteAheadLog) -> Bool {
        session.logged.hasFarewell = !session.output.isEmpty
        guard session.logged.hasFarewell else {
            leaving[session.id] = nil
            if let slot = leavingSlots.remove(session.id) { log.appendFarewellGone(slot) }
            return true
        }
        leaving[session.id] = session
        let slot = leavingSlots.insert(session.id)
        return session.output.withUnsentBytes { log.appendFarewell($0, of: session.id, in: slot) }
    }

    /// Takes note that a session cannot be gone on with, but with another connection: what it is told is not recorded.
    func tear(_ session: Session, in log: WriteAheadLog) {
        guard !session.logged.isTorn, session.state != .ended, let slot = session.logged.slot else { return }
        session.logged.isTorn = true
        log.appendTorn(slot)
    }

    // MARK: Room

    /// Whether an ACQUIRE can be recorded.
    mutating func hasRoom(for terms: AcquireTerms, at now: MonotonicInstant) -> Bool {
        guard let log else { return true }
        let count = Self.loggedByteCount(of: terms)
        if log.admit(count) { return true }
        prepareToGrow(log, at: now)
        return log.admit(count)
    }

    /// The most that a lease on one name that is spelled as it is, for which nothing else was asked, takes in the log.
    static func loggedByteCount(of name: PlainName) -> Int { 128 + name.bytes.count }

    /// The most that such a request takes in the log, and what it is bound to.
    static func loggedByteCount(of terms: AcquireTerms) -> Int {
        // A bound one is a session of its own and a record of what it is bound to, and in each of them is the process.
        let fixed = 256 + (terms.binding == nil ? 0 : 4096)
        return fixed + LogWriter.byteCount(of: terms.names) + LogWriter.byteCount(of: terms.owner)
            + LogWriter.byteCount(of: terms.note)
    }

    /// Takes memory for a larger file, in which the next commit begins: in the middle of a line nothing can be recorded.
    private mutating func prepareToGrow(_ log: WriteAheadLog, at now: MonotonicInstant) {
        if let noGrowthBefore, now < noGrowthBefore { return }
        // One turn may bring more than the next size has room for.
        let capacity = 2 * log.nextCapacity
        guard capacity <= log.sizes.largestCapacity else { return }
        do {
            try log.prepareToRewrite(capacity: capacity)
        } catch {
            waitForRoom("the log cannot grow, so new leases may be refused", error, at: now)
        }
    }

    /// Records everything in a larger file, if there is room for one; `unrecorded` are those whose output is not recorded, before and afterwards.
    private mutating func grow(
        _ log: WriteAheadLog,
        toTwiceTheSize isTight: Bool,
        _ unrecorded: inout [Session],
        at now: MonotonicInstant
    ) {
        if let noGrowthBefore, now < noGrowthBefore { return }
        let least = log.isOverfull || isTight ? 2 * log.capacity : 0
        let capacity = max(log.sizes.capacity(for: log.liveByteCount), least)
        guard log.isToBeRewritten || capacity > log.capacity, capacity <= log.sizes.largestCapacity else { return }
        do {
            try log.beginRewriting(capacity: capacity)
            noGrowthBefore = nil
        } catch {
            return waitForRoom("the log cannot grow, so new leases may be refused", error, at: now)
        }
        unrecorded = recordEverything(in: log)
        // One turn may have brought more than twice the size has room for.
        while log.isOverfull || !unrecorded.isEmpty, 2 * log.capacity <= log.sizes.largestCapacity {
            guard (try? log.beginRewriting(capacity: 2 * log.capacity)) != nil else { break }
            unrecorded = recordEverything(in: log)
        }
        // Before the commit: who waits for what is not there is to hear that the stream cannot be gone on with.
        unrecorded.forEach { tear($0, in: log) }
        log.commit(nextToken: table.nextToken, lastSession: lastSession)
        publish(log, at: now)
    }

    private mutating func publish(_ log: WriteAheadLog, at now: MonotonicInstant) {
        if let noGrowthBefore, now < noGrowthBefore { return }
        do {
            try log.publish()
        } catch {
            waitForRoom("what happens is not written down, so it will not outlive the daemon", error, at: now)
        }
    }

    private mutating func waitForRoom(_ what: String, _ error: any Error, at now: MonotonicInstant) {
        noGrowthBefore = now + .seconds(1)
        logProblem(what, "\(error)")
    }

    /// Records all that there is, in an empty log; returns the sessions for whose output there was no room.
    mutating func recordEverything(in log: WriteAheadLog) -> [Session] {
        let counts = table.recordSlotCounts
        changedClaims = Array(0..<counts.claims)
        changedSessions = Array(0..<counts.sessions)
        recordTable(in: log)
        changedBounds = Array(bound.keys)
        recordBounds(in: log)
        var unrecorded: [Session] = []
        for session in Array(sessions.values) {
            session.logged.input = nil
            recordInput(of: session, in: log)
            session.logged.isTorn = false
            session.logged.outputEnd = session.output.sentByteCount
            let isRecorded =
                session.logged.hasBacklog
                ? recordBacklog(of: session, in: log) : recordOutput(of: session, in: log)
            if !isRecorded { unrecorded.append(session) }
        }
        for session in Array(leaving.values) where !recordFarewell(of: session, in: log) { unrecorded.append(session) }
        return unrecorded
    }

    /// Writes again what still counts of the oldest records, a little of it.
    private mutating func clean(_ log: WriteAheadLog) {
        var cleaning = log.beginCleaning()
        while let header = log.nextRecordToKeep(&cleaning) {
            let lostCount = log.lostRecordCount
            if !recordAgain(header, in: log) || log.lostRecordCount > lostCount { return }
            log.dropOldest()
        }
    }

    /// Says whether there was room for what a session was told.
    private mutating func recordAgain(_ header: LogRing.Header, in log: WriteAheadLog) -> Bool {
        switch header.kind {
        case .claim: recordClaim(in: header.slot, log)
        case .session: recordSession(in: header.slot, log)
        case .bound:
            if let id = boundSlots[header.slot], let lease = bound[id] {
                log.append(LogRecord.Bound(session: id, lease: lease), in: header.slot)
            }
        case .input, .inputAdded, .inputTaken:
            guard let session = session(inLogSlot: header.slot) else { return true }
            session.logged.input = nil
            recordInput(of: session, in: log)
        case .backlog, .backlogAdded:
            guard let session = session(inLogSlot: header.slot) else { return true }
            return recordBacklog(of: session, in: log)
        case .farewell:
            guard let id = leavingSlots[header.slot], let session = leaving[id] else { return true }
            return recordFarewell(of: session, in: log)
        case .torn:
            if session(inLogSlot: header.slot)?.logged.isTorn == true { log.appendTorn(header.slot) }
        case .skip, .claimGone, .sessionGone, .boundGone, .backlogGone, .replies, .farewellGone, .anew: break
        }
        return true
    }

    private mutating func session(inLogSlot slot: Int) -> Session? {
        table.sessionRecord(in: slot).flatMap { sessions[$0.id] }
    }
}
