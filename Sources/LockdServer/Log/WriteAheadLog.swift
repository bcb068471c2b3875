import Glibc
import LockdCore
import LockdModel

/// What the next daemon needs to know, in a file that is mapped into memory: written before a client is told.
///
/// It says what there is, slot by slot, and not what has happened: a lease that came and went between two commits costs nothing. The file is a ring. What still
/// counts of its oldest records is written again at its end, a little with every commit, so it never has to be copied as a whole while it is large enough.
///
/// Not thread-safe: the loop's thread owns it.
final class WriteAheadLog {
    // Only the loop's thread comes here, and nothing that is called comes back meanwhile; to check that at every access would cost a tenth of a request.
    @exclusivity(unchecked) private var memory: LogMemory
    @exclusivity(unchecked) private var ring: LogRing
    private let path: String
    let sizes: Sizes
    private let origin: LogOrigin
    @exclusivity(unchecked) private var claims = LiveRecords()
    @exclusivity(unchecked) private var sessions = LiveRecords()
    /// Which session the slots are of: what is recorded of one session must not be taken for another's.
    @exclusivity(unchecked) private var sessionIDs: [Int: SessionID] = [:]
    @exclusivity(unchecked) private var bounds = LiveRecords()
    @exclusivity(unchecked) private var inputs = LiveRecords()
    @exclusivity(unchecked) private var backlogs = LiveRecords()
    @exclusivity(unchecked) private var farewells = LiveRecords()
    /// The file that takes the place of the present one with the next commit, if it is to.
    @exclusivity(unchecked) private var next: LogMemory?
    /// What claims may take that were admitted since the last commit, and how much that may become.
    @exclusivity(unchecked) private var promisedByteCount = 0
    @exclusivity(unchecked) private var promisableByteCount = 0
    /// How much of the room for what is received is taken.
    @exclusivity(unchecked) private var receivedByteCount = 0
    @exclusivity(unchecked) private var hasReplies = false
    /// How much there was no room for that no request brings; not counted what sessions are told.
    @exclusivity(unchecked) private(set) var lostRecordCount = 0
    /// It could not take the place of the former one, which the next daemon would go on with.
    @exclusivity(unchecked) private(set) var isUnpublished = false

    /// Makes a log that takes the place of the one at `path` with ``publish()``.
    ///
    /// - Throws: ``SystemError`` if there is no room for it, or it cannot be made.
    init(path: String, origin: LogOrigin, capacity: Int, sizes: Sizes = Sizes()) throws {
        (self.path, self.origin, self.sizes) = (path, origin, sizes)
        // A daemon that was killed may have left some.
        for name in Self.names(beside: path) { unlink(name) }
        memory = try LogMemory(creating: path + ".new", byteCount: LogLayout.ringStart + capacity)
        ring = LogRing(memory: Self.ringMemory(of: memory))
        origin.write(to: memory, capacity: capacity)
        countPromisable()
    }

    /// Goes on in the log at `path`, which was read and is undamaged: with the next commit nothing counts that is in it now.
    ///
    /// For where there is no room for another one. What is to outlive the daemon is to be recorded before that.
    ///
    /// - Throws: ``SystemError`` if it cannot be opened, or there is no room left in it.
    init(goingOnAt path: String, origin: LogOrigin, sizes: Sizes = Sizes()) throws {
        (self.path, self.origin, self.sizes) = (path, origin, sizes)
        memory = try LogMemory(opening: path)
        let capacity = Int(memory.base.load(fromByteOffset: LogLayout.Fixed.capacity, as: UInt64.self))
        let ringMemory = UnsafeMutableRawBufferPointer(rebasing: Self.ringMemory(of: memory)[..<capacity])
        ring = LogRing(memory: ringMemory, from: memory[.head], to: memory[.tail])
        // All of it, whatever the daemon before had received.
        receivedByteCount = LogLayout.receiveByteCount
        guard ring.append(.anew, slot: 0, payloadByteCount: 0, { _ in }) != nil else {
            errno = ENOSPC
            throw SystemError("go on in \(path)")
        }
        countPromisable()
    }

    var capacity: Int { ring.capacity }
    /// How many bytes count.
    var liveByteCount: Int {
        claims.byteCount + sessions.byteCount + bounds.byteCount + inputs.byteCount + backlogs.byteCount
            + farewells.byteCount
    }

    // MARK: Room

    /// More was to be recorded than there was room for, so not all that there is can be gone on with.
    var isOverfull: Bool { lostRecordCount > 0 }

    /// Whether there is room for what is usual.
    var isRoomy: Bool { !isOverfull && capacity / Self.spaciousness - liveByteCount >= sizes.reserve }

    /// So much is on its way to the sockets that it should be written before more is done.
    var isCrowded: Bool { hasReplies && ring.usedByteCount > capacity / 8 * 5 }

    /// How large the ring is from the next commit on.
    var nextCapacity: Int { next.map { $0.bytes.count - LogLayout.ringStart } ?? capacity }

    /// To be called when what counts, or how much may count, has changed, and no claim is on its way into the log.
    private func countPromisable() {
        let most = max(capacity, nextCapacity) / Self.spaciousness - liveByteCount
        promisableByteCount = isOverfull ? 0 : most
    }

    /// So much was admitted since the last commit that there should be one, before it looks as if the file were too small.
    var hasPromisedMuch: Bool { promisedByteCount > sizes.reserve / 2 }

    /// Whether a claim can be recorded that takes so many bytes; counts on it from then on.
    func admit(_ byteCount: Int) -> Bool {
        guard promisedByteCount + byteCount <= promisableByteCount else { return false }
        promisedByteCount += byteCount
        return true
    }

    /// Whether what a session is told can be recorded, without taking the room that what nobody can refuse may need.
    private func hasRoom(forOutput byteCount: Int) -> Bool {
        ring.freeByteCount - byteCount - LogRing.headerByteCount > capacity / Self.spaciousness
    }

    // MARK: Records

    func append(_ claim: ClaimRecord, in slot: Int) {
        let count = claim.loggedByteCount
        let position = ring.append(.claim, slot: slot, payloadByteCount: count) {
            var writer = LogWriter($0)
            claim.write(to: &writer)
        }
        note(position, count, of: slot, in: &claims)
    }

    /// The same as any other claim, without a copy of it: most are such.
    func append(_ claim: borrowing PlainClaim, in slot: Int) {
        let count = claim.loggedByteCount
        guard let payload = ring.begin(count) else {
            lostRecordCount += 1
            return
        }
        claim.write(to: payload)
        note(ring.finish(.claim, slot: slot, payload, count), count, of: slot, in: &claims)
    }

    func append(_ session: LogRecord.Session, in slot: Int) {
        if let former = sessionIDs[slot], former != session.table.id { appendSessionGone(slot) }
        sessionIDs[slot] = session.table.id
        let count = session.loggedByteCount
        let position = ring.append(.session, slot: slot, payloadByteCount: count) {
            var writer = LogWriter($0)
            session.write(to: &writer)
        }
        note(position, count, of: slot, in: &sessions)
    }

    func append(_ bound: LogRecord.Bound, in slot: Int) {
        let count = bound.loggedByteCount
        let position = ring.append(.bound, slot: slot, payloadByteCount: count) {
            var writer = LogWriter($0)
            bound.write(to: &writer)
        }
        note(position, count, of: slot, in: &bounds)
    }

    func appendClaimGone(_ slot: Int) { appendGone(.claimGone, slot, &claims) }
    func appendBoundGone(_ slot: Int) { appendGone(.boundGone, slot, &bounds) }

    func appendSessionGone(_ slot: Int) {
        sessionIDs[slot] = nil
        inputs.remove(slot)
        backlogs.remove(slot)
        appendGone(.sessionGone, slot, &sessions)
    }

    /// What was received and not taken, as a whole.
    func appendInput(_ bytes: UnsafeRawBufferPointer, isDiscarding: Bool, of slot: Int) {
        let position = ring.append(.input, slot: slot, payloadByteCount: 1 + bytes.count) {
            var writer = LogWriter($0)
            writer.put(isDiscarding ? UInt8(1) : 0)
            writer.put(bytes)
        }
        note(position, bytes.count + 1, of: slot, in: &inputs)
    }

    func appendInputAdded(_ bytes: UnsafeRawBufferPointer, of slot: Int) {
        if noteRoom(append(.inputAdded, slot, bytes)) { inputs.add(bytes.count, to: slot) }
    }

    /// Some, or all, of what was received was taken from the front.
    func appendInputTaken(_ count: UInt64, isAll: Bool, of slot: Int) {
        noteRoom(appendCount(.inputTaken, slot, count))
        if isAll { inputs.remove(slot) }
    }

    /// What a session is told from here on; says whether there was room.
    func appendReply(_ bytes: UnsafeRawBufferPointer, of slot: Int) -> Bool {
        guard hasRoom(forOutput: bytes.count) else { return false }
        hasReplies = true
        guard let start = ring.appendPart(byteCount: 8 + bytes.count) else {
            lostRecordCount += 1
            return false
        }
        start.storeBytes(of: UInt64(slot) | UInt64(bytes.count) << 32, as: UInt64.self)
        if let source = bytes.baseAddress { (start + 8).copyMemory(from: source, byteCount: bytes.count) }
        return true
    }

    /// What a session was told that has ended, and its socket has not taken, in a slot for such sessions; says whether there was room.
    func appendFarewell(_ bytes: UnsafeRawBufferPointer, of session: SessionID, in slot: Int) -> Bool {
        guard hasRoom(forOutput: bytes.count) else { return false }
        let position = ring.append(.farewell, slot: slot, payloadByteCount: 8 + bytes.count) {
            var writer = LogWriter($0)
            writer.put(session.value)
            writer.put(bytes)
        }
        return note(position, 8 + bytes.count, of: slot, in: &farewells)
    }

    func appendFarewellGone(_ slot: Int) { appendGone(.farewellGone, slot, &farewells) }

    func appendBacklog(_ lines: UnsafeRawBufferPointer, skipping skipped: Int, of slot: Int) -> Bool {
        guard hasRoom(forOutput: lines.count) else { return false }
        let position = ring.append(.backlog, slot: slot, payloadByteCount: 4 + lines.count) {
            var writer = LogWriter($0)
            writer.put(UInt32(skipped))
            writer.put(lines)
        }
        return note(position, 4 + lines.count, of: slot, in: &backlogs)
    }

    func appendBacklogAdded(_ bytes: UnsafeRawBufferPointer, of slot: Int) -> Bool {
        guard hasRoom(forOutput: bytes.count), noteRoom(append(.backlogAdded, slot, bytes)) else { return false }
        backlogs.add(bytes.count, to: slot)
        return true
    }

    func appendBacklogGone(_ slot: Int) { appendGone(.backlogGone, slot, &backlogs) }

    func appendTorn(_ slot: Int) {
        backlogs.remove(slot)
        noteRoom(ring.append(.torn, slot: slot, payloadByteCount: 0) { _ in })
    }

    // MARK: Commits

    /// Whether anything was recorded that is not committed.
    var hasChanges: Bool { appendedByteCount > 0 }

    /// How many bytes were recorded that are not committed.
    private var appendedByteCount: Int { Int(ring.end - ring.tail) + ring.openByteCount }

    /// The least token that was not granted, as far as the next daemon knows.
    var nextToken: FencingToken { FencingToken(memory[.nextToken]) }

    /// Up to where everything is committed.
    var committedEnd: UInt64 { ring.tail }

    private func publishRecords(_ nextToken: FencingToken, _ lastSession: SessionID) {
        promisedByteCount = 0
        countPromisable()
        // Larger than they need be these numbers do no harm, so they may be ahead of the commit.
        memory[.nextToken] = nextToken.value
        memory[.lastSession] = lastSession.value
        guard hasChanges else { return }
        memory[.tail] = ring.commit()
        memory[.head] = ring.head
        ring.publishHead()
    }

    /// Makes everything count that was recorded since the last time, in one step; what was received is not needed any more.
    func commit(nextToken: FencingToken, lastSession: SessionID) {
        publishRecords(nextToken, lastSession)
        forgetReceived()
    }

    /// Takes note that all replies were written to their sockets which are not part of a backlog.
    func noteRepliesWritten() {
        guard hasReplies else { return }
        hasReplies = false
        memory[.written] = ring.tail
    }

    /// Takes note that the daemon is there.
    func noteAlive(at now: MonotonicInstant) { memory[.aliveAt] = UInt64(bitPattern: now.nanoseconds) }

    // MARK: Receiving

    /// Whether something was received since the last commit.
    var isHoldingReceived: Bool { receivedByteCount > 0 }

    /// Whether more can be received before the next commit.
    var hasRoomToReceive: Bool {
        receivedByteCount + LogLayout.Chunk.headerByteCount + LogLayout.chunkByteCount <= LogLayout.receiveByteCount
    }

    /// Where bytes of a session are to be received: all zeros; there has to be room.
    func beginReceiving(for session: SessionID) -> UnsafeMutableRawBufferPointer {
        precondition(hasRoomToReceive, "a commit is due before more is received")
        if receivedByteCount == 0 { memory[.receivedAfter] = ring.tail }
        let chunk = LogLayout.receiveStart + receivedByteCount
        memory.publish(session.value, at: chunk + LogLayout.Chunk.session)
        let start = memory.base + chunk + LogLayout.Chunk.headerByteCount
        return UnsafeMutableRawBufferPointer(start: start, count: LogLayout.chunkByteCount)
    }

    /// Takes note that so many bytes were received there, more than none, which are kept until the next commit.
    func endReceiving(_ count: Int) {
        let chunk = LogLayout.receiveStart + receivedByteCount
        memory.publish(UInt64(count), at: chunk + LogLayout.Chunk.byteCount)
        receivedByteCount += LogRing.rounded(LogLayout.Chunk.headerByteCount + count)
    }

    private func forgetReceived() {
        guard receivedByteCount > 0 else { return }
        // First of all, so that nobody takes what is left of the others for chunks.
        memory.publish(0, at: LogLayout.receiveStart + LogLayout.Chunk.session)
        // Behind the last one may stand whose chunk was to come, and did not.
        let count = min(receivedByteCount + LogLayout.Chunk.headerByteCount, LogLayout.receiveByteCount)
        let used = memory.bytes[LogLayout.receiveStart..<LogLayout.receiveStart + count]
        UnsafeMutableRawBufferPointer(rebasing: used).initializeMemory(as: UInt8.self, repeating: 0)
        receivedByteCount = 0
    }

    // MARK: Cleaning

    /// Whether there is something to clean: not for a few records only, because to begin costs as much as some.
    var isToBeCleaned: Bool { ring.usedByteCount > capacity / 16 * 9 }

    /// Cleans some more than was written since the commit before, so that it keeps up, and no more than that, so that nobody waits for it for long.
    ///
    /// What is written again while it is cleaned is not counted: then there would be no end to it.
    func beginCleaning() -> LogCleaning { LogCleaning(limit: max(16 * 1024, 4 * appendedByteCount)) }

    /// Lets go of the oldest records that no longer count, while more of the ring is used than should be; hands out the next one that does count.
    func nextRecordToKeep(_ cleaning: inout LogCleaning) -> LogRing.Header? {
        // What is on its way to the sockets stays until it is there.
        let end = hasReplies ? memory[.written] : .max
        while ring.usedByteCount > capacity / 2, cleaning.byteCount < cleaning.limit,
            let (header, position) = ring.oldest
        {
            if position >= end { return nil }
            cleaning.byteCount += header.byteCount
            if header.kind.mayCount, isLive(header, position) { return header }
            ring.drop(header, at: position)
        }
        return nil
    }

    /// Lets go of the record that ``nextRecordToKeep(_:)`` has handed out, which was recorded again.
    func dropOldest() { ring.dropOldest() }

    private func isLive(_ header: LogRing.Header, _ position: UInt64) -> Bool {
        switch header.kind {
        case .claim: claims.position(of: header.slot) == position
        case .session: sessions.position(of: header.slot) == position
        case .bound: bounds.position(of: header.slot) == position
        case .input, .inputAdded, .inputTaken: inputs.position(of: header.slot).map { $0 <= position } ?? false
        case .backlog, .backlogAdded:
            backlogs.position(of: header.slot).map { $0 <= position } ?? false
        case .farewell: farewells.position(of: header.slot) == position
        // Whether the session is torn still is for whoever has it to say.
        case .torn: true
        case .skip, .claimGone, .sessionGone, .boundGone, .backlogGone, .replies, .farewellGone, .anew: false
        }
    }

    // MARK: Another file

    /// Whether there is a file already that is to take the place of the present one.
    var isToBeRewritten: Bool { next != nil }

    /// Takes memory for a file aside, so that more claims are admitted from now on; the next commit has to begin there.
    ///
    /// - Throws: ``SystemError`` if there is no room for it; then everything is as it was.
    func prepareToRewrite(capacity: Int) throws {
        // What is there already is kept until there is the larger one; the present one may be aside still.
        let name = Self.names(beside: path).first { $0 != next?.path && $0 != memory.path } ?? path
        let larger = try LogMemory(creating: name, byteCount: LogLayout.ringStart + capacity)
        next?.remove()
        next = larger
        countPromisable()
    }

    /// Begins anew in a file aside, at least as large as `capacity`: everything is to be recorded again, then ``publish()``.
    ///
    /// - Throws: ``SystemError`` if there is no room for it; then everything is as it was.
    func beginRewriting(capacity: Int) throws {
        if nextCapacity < capacity || next == nil { try prepareToRewrite(capacity: capacity) }
        guard let new = next.take() else { return }
        origin.write(to: new, capacity: new.bytes.count - LogLayout.ringStart)
        new[.aliveAt] = memory[.aliveAt]
        if memory.path != path { memory.remove() }
        memory = new
        ring = LogRing(memory: Self.ringMemory(of: new))
        (claims, sessions, bounds) = (LiveRecords(), LiveRecords(), LiveRecords())
        (inputs, backlogs, farewells) = (LiveRecords(), LiveRecords(), LiveRecords())
        (promisedByteCount, lostRecordCount, hasReplies, sessionIDs) = (0, 0, false, [:])
        receivedByteCount = 0
        countPromisable()
    }

    /// Puts the file in the place of the former one.
    ///
    /// - Throws: ``SystemError`` if that cannot be done; then it is to be tried again, because nothing outlives the daemon until then.
    func publish() throws {
        isUnpublished = true
        try memory.rename(to: path)
        isUnpublished = false
    }

    /// Where files are before they take their place.
    private static func names(beside path: String) -> [String] { [".new", ".newer", ".newest"].map { path + $0 } }

    private static func ringMemory(of memory: LogMemory) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: memory.bytes[LogLayout.ringStart...])
    }

    // MARK: Inside

    private func appendGone(_ kind: LogRecord.Kind, _ slot: Int, _ live: inout LiveRecords) {
        // What no record ever said need not be taken back.
        guard live.position(of: slot) != nil else { return }
        live.remove(slot)
        noteRoom(ring.append(kind, slot: slot, payloadByteCount: 0) { _ in })
    }

    private func append(_ kind: LogRecord.Kind, _ slot: Int, _ bytes: UnsafeRawBufferPointer) -> UInt64? {
        ring.append(kind, slot: slot, payloadByteCount: bytes.count) {
            var writer = LogWriter($0)
            writer.put(bytes)
        }
    }

    private func appendCount(_ kind: LogRecord.Kind, _ slot: Int, _ count: UInt64) -> UInt64? {
        ring.append(kind, slot: slot, payloadByteCount: 8) {
            var writer = LogWriter($0)
            writer.put(count)
        }
    }

    @discardableResult
    @inline(__always)
    private func note(_ position: UInt64?, _ count: Int, of slot: Int, in live: inout LiveRecords) -> Bool {
        guard noteRoom(position), let position else { return false }
        live.set(slot, at: position, byteCount: LogRing.rounded(LogRing.headerByteCount + count))
        return true
    }

    @discardableResult
    @inline(__always)
    private func noteRoom(_ position: UInt64?) -> Bool {
        if position == nil { lostRecordCount += 1 }
        return position != nil
    }
}
