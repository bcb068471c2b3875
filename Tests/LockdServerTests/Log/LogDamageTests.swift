import LockdCore
import LockdModel
import Testing

@testable import LockdServer

/// What is found in a log that is not as it was written.
@Suite struct LogDamageTests {
    /// The file.
    private let bytes: [UInt8]
    /// Where the ring ended after each commit, and what there was then.
    private let commits: [(end: Int, claims: Set<ClaimRecord>)]

    init() throws {
        let written = try WrittenLog()
        var commits: [(end: Int, claims: Set<ClaimRecord>)] = [(LogLayout.ringStart, [])]
        var claims: [Int: ClaimRecord] = [:]
        for number in 1...8 {
            written.log.append(LogRecord.Session(UInt64(number)), in: number)
            for slot in 0..<2 {
                let claim = try ClaimRecord("a\(number)", of: UInt64(number), token: UInt64(number * 10 + slot))
                claims[number * 2 + slot] = claim
                written.log.append(claim, in: number * 2 + slot)
            }
            if number > 3 {
                claims[number * 2 - 5] = nil
                written.log.appendClaimGone(number * 2 - 5)
            }
            written.commit()
            commits.append((LogLayout.ringStart + Int(written.log.committedEnd), Set(claims.values)))
        }
        (bytes, self.commits) = (try written.bytes(), commits)
    }

    /// The number of the commit that was found, which is a whole one.
    private func commit(in contents: LogContents) throws -> Int {
        let claims = Set(contents.claims)
        return try #require(commits.firstIndex { $0.claims == claims }, "half a commit was found: \(claims)")
    }

    @Test func undamagedLogSaysSo() throws {
        let contents = try #require(try WrittenLog.contents(bytes))
        #expect(contents.damage == nil && !contents.isForeign)
        #expect(try commit(in: contents) == 8)
        #expect(contents.nextToken == FencingToken(1000))
    }

    @Test func logIsReadUpToTheLastCommitThatIsWhole() throws {
        for place in LogLayout.ringStart..<commits[8].end {
            var damaged = bytes
            for index in place..<damaged.count { damaged[index] = 0 }
            let contents = try #require(try WrittenLog.contents(damaged))
            if damaged == bytes { continue }
            #expect(contents.damage != nil, "zeros from \(place)")
            let complete = commits.lastIndex { $0.end <= place } ?? 0
            #expect(try commit(in: contents) >= complete, "zeros from \(place)")
        }
    }

    @Test func fileThatIsCutShortSaysSo() throws {
        for count in Array(stride(from: 0, to: bytes.count, by: 97)) + [bytes.count - 1] {
            let contents = try #require(try WrittenLog.contents(Array(bytes[..<count])))
            #expect(contents.damage != nil, "\(count) bytes")
        }
    }

    @Test func everyChangedBitOfARecordIsNoticed() throws {
        var damaged = bytes
        for bit in LogLayout.ringStart * 8..<commits[8].end * 8 {
            damaged[bit / 8] ^= 1 << (bit % 8)
            let contents = try #require(try WrittenLog.contents(damaged))
            #expect(contents.damage != nil, "bit \(bit)")
            let complete = commits.lastIndex { $0.end <= bit / 8 } ?? 0
            #expect(try commit(in: contents) == complete, "bit \(bit)")
            damaged[bit / 8] ^= 1 << (bit % 8)
        }
    }

    @Test func everyChangedBitOfTheHeaderIsSurvived() throws {
        var damaged = bytes
        for bit in 0..<256 * 8 {
            damaged[bit / 8] ^= 1 << (bit % 8)
            defer { damaged[bit / 8] ^= 1 << (bit % 8) }
            do {
                let contents = try #require(try WrittenLog.contents(damaged))
                // What never changes has a checksum.
                if bit / 8 < LogLayout.Fixed.checksum + 8 { #expect(contents.damage != nil, "bit \(bit)") }
                // A log that begins further on may lack what was before that.
                if bit / 64 != LogLayout.Field.head.rawValue / 8 { _ = try commit(in: contents) }
                restore(contents)
            } catch is LogReader.Newer {
                #expect(bit / 64 == LogLayout.Fixed.version / 8, "bit \(bit)")
            }
        }
    }

    @Test(arguments: [UInt64.max, UInt64.max - 7, 1 << 63, 1 << 62, 0])
    func numbersThatNoDaemonWritesAreSurvived(value: UInt64) throws {
        let fields: [LogLayout.Field] = [
            .tail, .written, .head, .nextToken, .lastSession, .aliveAt, .receivedAfter,
        ]
        for first in fields {
            for second in fields {
                var damaged = bytes
                damaged.withUnsafeMutableBytes { memory in
                    memory.storeBytes(of: value, toByteOffset: first.rawValue, as: UInt64.self)
                    memory.storeBytes(of: value &- 8, toByteOffset: second.rawValue, as: UInt64.self)
                }
                restore(try #require(try WrittenLog.contents(damaged)))
            }
        }
    }

    @Test(arguments: [1, 2, 3]) func anyDamageIsSurvived(seed: UInt64) throws {
        var random = SeededNumbers(seed: seed)
        for _ in 0..<1000 {
            var damaged = bytes
            let end = random.chance(50) ? 256 : commits[8].end
            for _ in 0...random.below(6) { damaged[random.below(end)] = UInt8(random.below(256)) }
            if let contents = try? WrittenLog.contents(damaged) { restore(contents) }
        }
    }

    @Test func logOfANewerVersionIsRefused() throws {
        var newer = bytes
        newer[LogLayout.Fixed.version] = UInt8(LogLayout.version) + 1
        let error = #expect(throws: LogReader.Newer.self) { try WrittenLog.contents(newer) }
        #expect(error?.description.contains("format 2; this one reads 1") == true)
    }

    @Test func logOfAnotherBootIsNone() throws {
        #expect(try WrittenLog.contents(bytes, origin: LogOrigin(boot: 1, bootRest: 3, pidNamespace: 3)) == nil)
        #expect(try WrittenLog.contents(bytes, origin: LogOrigin(boot: 2, bootRest: 2, pidNamespace: 3)) == nil)
    }

    @Test func logOfAnotherNamespaceIsForeign() throws {
        let contents = try WrittenLog.contents(bytes, origin: LogOrigin(boot: 1, bootRest: 2, pidNamespace: 4))
        #expect(try #require(contents).isForeign)
    }

    /// Goes on from what was found, as a daemon does.
    private func restore(_ contents: LogContents) {
        let now = MonotonicInstant(nanoseconds: 5_000_000_000)
        var problems: [String] = []
        var record = TableRecord()
        (record.sessions, record.claims) = (contents.sessions.map(\.table), contents.claims)
        let table = LockTable(
            limits: Limits(),
            firstToken: FencingToken(1 << 20),
            reservedThrough: FencingToken(1 << 21),
            restoring: record,
            downtime: (min(contents.aliveAt ?? now, now), now),
            problems: &problems
        )
        table.checkInvariants()
        var service = LockService(
            identity: .init(version: "0.0.0", process: ProcessID(1), startTime: 0),
            limits: Limits(),
            tokens: EndlessTokens(),
            at: now,
            flush: { _ in },
            record: { _ in },
            flushWatcher: nil,
            binder: nil,
            log: nil,
            table: table
        )
        service.restore(contents)
        for session in service.restoredSessions { service.attach(session, isDamaged: contents.damage != nil, at: now) }
        _ = service.makeSessionID()
        service.passTime(at: now)
    }
}
