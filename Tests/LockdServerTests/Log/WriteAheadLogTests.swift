import Glibc
import LockdCore
import LockdModel
import Testing

@testable import LockdServer

@Suite struct WriteAheadLogTests {
    private let written: WrittenLog
    private var log: WriteAheadLog { written.log }

    init() throws {
        written = try WrittenLog()
        log.append(LogRecord.Session(7), in: 1)
    }

    @Test func whatIsNotCommittedIsNotThere() throws {
        #expect(try written.contents().sessions.isEmpty)
        written.commit()
        #expect(try written.contents().sessions == [LogRecord.Session(7)])
        log.append(LogRecord.Session(8), in: 2)
        log.append(try ClaimRecord("a", of: 8, token: 1), in: 0)
        #expect(try written.contents().sessions == [LogRecord.Session(7)])
        #expect(try written.contents().claims.isEmpty)
    }

    private func received() throws -> [String] {
        try written.contents().received.map { "\($0.session) \(String(decoding: $0.bytes, as: UTF8.self))" }
    }

    @Test func receivedBytesAreThereUntilWhatCameOfThemIsCommitted() throws {
        written.commit()
        let first = log.beginReceiving(for: SessionID(7))
        #expect(try received() == [])
        first.copyBytes(from: Array("PING\n".utf8))
        #expect(try received() == ["7 PING\n"])
        log.endReceiving(5)
        #expect(try received() == ["7 PING\n"])
        // Nothing came of another one's, which is the same to whoever reads that.
        _ = log.beginReceiving(for: SessionID(9))
        #expect(try received() == ["7 PING\n"])
        log.beginReceiving(for: SessionID(8)).copyBytes(from: Array("QUIT\n\0".utf8))
        #expect(try received() == ["7 PING\n", "8 QUIT\n"])
        log.endReceiving(6)
        #expect(try received() == ["7 PING\n", "8 QUIT\n\0"])
        #expect(written.appendReply("PONG\n", of: 1))
        #expect(try received() == ["7 PING\n", "8 QUIT\n\0"])
        written.commit()
        #expect(try received() == [])
        #expect(log.beginReceiving(for: SessionID(7)).allSatisfy { $0 == 0 })
    }

    @Test func nothingIsLeftOfAChunkThatDidNotCome() throws {
        written.commit()
        log.beginReceiving(for: SessionID(7)).copyBytes(from: Array("PING\n".utf8))
        log.endReceiving(5)
        // Nothing was there to be received.
        _ = log.beginReceiving(for: SessionID(9))
        written.commit()
        let area = try written.bytes()[LogLayout.receiveStart..<LogLayout.ringStart]
        #expect(area.allSatisfy { $0 == 0 })
    }

    @Test func chunksAreReceivedUntilThereIsNoRoomBeforeACommit() throws {
        written.commit()
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: LogLayout.chunkByteCount)
        var count = 0
        while log.hasRoomToReceive {
            log.beginReceiving(for: SessionID(7)).copyBytes(from: chunk)
            log.endReceiving(chunk.count)
            count += 1
        }
        #expect(try written.contents().received.map(\.bytes) == Array(repeating: chunk, count: count))
        #expect(count == 3)
        written.commit()
        #expect(log.hasRoomToReceive)
        #expect(try written.contents().received.isEmpty)
    }

    @Test func logThatIsGoneOnWithSaysWhatItDidUntilTheNextCommit() throws {
        log.append(try ClaimRecord("a", of: 7, token: 1), in: 0)
        #expect(written.appendReply("PONG\n", of: 1))
        written.commit()
        log.beginReceiving(for: SessionID(7)).copyBytes(from: Array("PING\n".utf8))
        log.endReceiving(5)
        let before = try written.contents()
        let next = try WriteAheadLog(goingOnAt: written.path, origin: WrittenLog.origin)
        next.append(LogRecord.Session(8), in: 1)
        #expect(try received() == ["7 PING\n"])
        #expect(try written.contents().claims == before.claims)
        #expect(try written.contents().outputs == before.outputs)
        next.commit(nextToken: FencingToken(2), lastSession: SessionID(8))
        let contents = try written.contents()
        #expect(contents.sessions == [LogRecord.Session(8)])
        #expect(contents.claims.isEmpty)
        #expect(contents.outputs.isEmpty)
        #expect(contents.received.isEmpty)
        #expect(contents.damage == nil)
        #expect(next.beginReceiving(for: SessionID(8)).allSatisfy { $0 == 0 })
    }

    @Test func inputIsWhatWasAddedAndNotTaken() throws {
        written.appendInput("one\ntw", of: 1)
        written.appendInputAdded("o\n", of: 1)
        log.appendInputTaken(4, isAll: false, of: 1)
        written.commit()
        #expect(try written.contents().inputs[SessionID(7)]?.bytes == Array("two\n".utf8))
        // All of it is taken, and more has come.
        log.appendInputTaken(4, isAll: false, of: 1)
        written.appendInputAdded("three", of: 1)
        written.commit()
        #expect(try written.contents().inputs[SessionID(7)]?.bytes == Array("three".utf8))
        log.appendInputTaken(5, isAll: true, of: 1)
        written.commit()
        #expect(try written.contents().inputs.isEmpty)
    }

    @Test func repliesAreThereUntilTheyAreWritten() throws {
        #expect(written.appendReply("PONG\n", of: 1))
        written.commit()
        #expect(try written.contents().outputs[SessionID(7)]?.lines == Array("PONG\n".utf8))
        log.noteRepliesWritten()
        #expect(try written.contents().outputs.isEmpty)
    }

    @Test func backlogIsThereUntilItIsGone() throws {
        #expect(written.appendReply("PONG\n", of: 1))
        written.commit()
        #expect(written.appendBacklog("PONG\n", skipping: 2, of: 1))
        written.commit()
        log.noteRepliesWritten()
        #expect(written.appendBacklogAdded("BYE\n", of: 1))
        written.commit()
        let output = try #require(try written.contents().outputs[SessionID(7)])
        #expect(output == LogContents.Output(lines: Array("PONG\nBYE\n".utf8), skipping: 2))
        log.appendBacklogGone(1)
        written.commit()
        #expect(try written.contents().outputs.isEmpty)
    }

    @Test func backlogThatIsAddedToNothingIsNoBacklog() throws {
        #expect(written.appendBacklogAdded("BYE\n", of: 100))
        written.commit()
        #expect(try written.contents().outputs.isEmpty)
        #expect(log.liveByteCount < 200)
    }

    @Test func farewellOutlivesItsSessionUntilItIsGone() throws {
        #expect(written.appendReply("BYE\n", of: 1))
        log.appendSessionGone(1)
        #expect(written.appendFarewell("BYE\n", of: SessionID(7), in: 0))
        written.commit()
        log.noteRepliesWritten()
        #expect(try written.contents().farewells == [SessionID(7): Array("BYE\n".utf8)])
        log.appendFarewellGone(0)
        written.commit()
        #expect(try written.contents().farewells.isEmpty)
    }

    @Test func nothingOfASessionIsTakenForThatOfTheNextInItsSlot() throws {
        written.appendInput("PI", of: 1)
        #expect(written.appendBacklog("PONG\n", skipping: 0, of: 1))
        written.commit()
        log.append(LogRecord.Session(8), in: 1)
        written.commit()
        let contents = try written.contents()
        #expect(contents.sessions == [LogRecord.Session(8)])
        #expect(contents.inputs.isEmpty && contents.outputs.isEmpty)
    }

    @Test func rewrittenLogTakesThePlaceOfTheOldOneOnceItIsPublished() throws {
        written.commit()
        try log.beginRewriting(capacity: 1 << 15)
        log.append(LogRecord.Session(8), in: 1)
        written.commit()
        #expect(try written.contents().sessions == [LogRecord.Session(7)])
        try log.publish()
        #expect(try written.contents().sessions == [LogRecord.Session(8)])
        #expect(log.capacity == 1 << 15)
    }

    @Test func preparedMemoryCountsAsRoom() throws {
        written.commit()
        #expect(!log.admit(8000))
        try log.prepareToRewrite(capacity: 1 << 17)
        #expect(log.admit(8000))
        try log.beginRewriting(capacity: 1 << 15)
        #expect(log.capacity == 1 << 17)
    }

    @Test func outputLeavesRoomForWhatNobodyCanRefuse() throws {
        written.commit()
        while written.appendReply(String(repeating: "x", count: 500), of: 1) {}
        #expect(!log.isOverfull && log.isCrowded)
        // As much as may count.
        for slot in 0..<20 { log.append(try ClaimRecord("a", of: 7, token: UInt64(slot) + 1), in: slot) }
        #expect(!log.isOverfull)
        log.appendTorn(1)
        written.commit()
        let contents = try written.contents()
        #expect(contents.claims.count == 20)
        #expect(contents.torn == [SessionID(7)])
    }

    @Test func logThatCannotTakeItsPlaceSaysSo() throws {
        try log.beginRewriting(capacity: 1 << 14)
        // Somebody has removed the file.
        unlink(written.path + ".new")
        #expect(throws: SystemError.self) { try log.publish() }
        #expect(log.isUnpublished)
    }

    @Test func littleIsCleanedAtOnceThoughAllOfItCounts() throws {
        try log.beginRewriting(capacity: 1 << 20)
        var slot = 0
        while !log.isToBeCleaned {
            log.append(try ClaimRecord("a\(slot)", of: 7, token: UInt64(slot) + 1), in: slot)
            slot += 1
        }
        log.commit(nextToken: FencingToken(1 << 40), lastSession: SessionID(7))
        try log.publish()
        log.append(try ClaimRecord("b", of: 7, token: 1 << 39), in: slot)
        var cleaning = log.beginCleaning()
        while let header = log.nextRecordToKeep(&cleaning) {
            if header.kind == .claim {
                log.append(try ClaimRecord("a\(header.slot)", of: 7, token: UInt64(header.slot) + 1), in: header.slot)
            }
            log.dropOldest()
        }
        #expect((16 * 1024...17 * 1024).contains(cleaning.byteCount))
    }

    /// Slots of all kinds change at random for many rounds of the ring.
    @Test(arguments: [1, 2, 3]) func everythingThatCountsIsKeptWhileTheRingGoesRound(seed: UInt64) throws {
        var random = SeededNumbers(seed: seed)
        var claims: [Int: ClaimRecord] = [:]
        var farewells: [Int: String] = [:]
        for round in 1..<3000 {
            for _ in 0..<random.below(4) {
                let slot = random.below(12)
                if random.chance(40) {
                    claims[slot] = nil
                    log.appendClaimGone(slot)
                } else {
                    claims[slot] = try ClaimRecord("a\(round)", of: 7, token: UInt64(round))
                    if let claim = claims[slot] { log.append(claim, in: slot) }
                }
            }
            if random.chance(20) {
                let slot = random.below(3)
                farewells[slot] = farewells[slot] == nil ? "BYE \(round)\n" : nil
                if let text = farewells[slot] {
                    #expect(written.appendFarewell(text, of: SessionID(UInt64(slot)), in: slot))
                } else {
                    log.appendFarewellGone(slot)
                }
            }
            if random.chance(30) { #expect(written.appendReply("PONG\n", of: 1)) }
            clean(claims, farewells)
            written.commit()
            if random.chance(50) { log.noteRepliesWritten() }
            guard round % 50 == 0 else { continue }
            let contents = try written.contents()
            #expect(contents.damage == nil)
            #expect(Set(contents.claims) == Set(claims.values))
            #expect(Set(contents.farewells.values) == Set(farewells.values.map { Array($0.utf8) }))
            #expect(contents.sessions == [LogRecord.Session(7)])
            log.noteRepliesWritten()
        }
        #expect(log.committedEnd > 10 * UInt64(log.capacity))
        #expect(!log.isOverfull && log.capacity == 1 << 14)
    }

    private func clean(_ claims: [Int: ClaimRecord], _ farewells: [Int: String]) {
        var cleaning = log.beginCleaning()
        while let header = log.nextRecordToKeep(&cleaning) {
            if header.kind == .claim, let claim = claims[header.slot] { log.append(claim, in: header.slot) }
            if header.kind == .session { log.append(LogRecord.Session(7), in: 1) }
            if header.kind == .farewell, let text = farewells[header.slot] {
                #expect(written.appendFarewell(text, of: SessionID(UInt64(header.slot)), in: header.slot))
            }
            log.dropOldest()
        }
    }
}
