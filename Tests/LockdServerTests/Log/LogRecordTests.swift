import LockdCore
import LockdModel
import Testing

@testable import LockdServer

@Suite struct LogRecordTests {
    /// What a record comes back as, and how many bytes it took.
    private func comesBack<Value>(
        _ write: (inout LogWriter) -> Void,
        _ read: (inout LogParser) throws(LogParser.Problem) -> Value
    ) throws -> (value: Value, byteCount: Int) {
        // Far more than any record needs, so that one that is too long is seen and does no harm.
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 20_000, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 0xA5)
        let start = try #require(memory.baseAddress)
        var writer = LogWriter(start)
        write(&writer)
        var parser = LogParser(UnsafeRawBufferPointer(memory))
        let value = try read(&parser)
        let byteCount = memory.count - parser.remainder().count
        // Nothing was written behind what is read again.
        #expect(memory[byteCount...].prefix(100).allSatisfy { $0 == 0xA5 })
        return (value, byteCount)
    }

    @Test(arguments: [false, true])
    func recordComesBackAsItWasAndTakesNoMoreThanItSays(isLongest: Bool) throws {
        var records = RandomRecords(random: SeededNumbers(seed: 1), isLongest: isLongest)
        for _ in 0..<30 {
            let (claim, session, bound) = (records.claim(), records.loggedSession(), records.bound())
            let (sameClaim, claimCount) = try comesBack(claim.write) { parser throws(LogParser.Problem) in
                try ClaimRecord(&parser)
            }
            #expect(sameClaim == claim)
            #expect(claimCount <= claim.loggedByteCount)
            let (sameSession, sessionCount) = try comesBack(session.write) { parser throws(LogParser.Problem) in
                try LogRecord.Session(&parser)
            }
            #expect(sameSession == session)
            #expect(sessionCount <= session.loggedByteCount)
            let (sameBound, boundCount) = try comesBack(bound.write) { parser throws(LogParser.Problem) in
                try LogRecord.Bound(&parser)
            }
            #expect(sameBound == bound)
            #expect(boundCount <= bound.loggedByteCount)
        }
    }

    /// What is admitted has to find room, whatever the request comes to.
    @Test func requestTakesNoMoreThanWasAdmitted() {
        var records = RandomRecords(random: SeededNumbers(seed: 2), isLongest: true)
        func size(_ byteCount: Int) -> Int { LogRing.rounded(LogRing.headerByteCount + byteCount) }
        for isBound in [false, true] {
            var (claim, session, bound) = (records.claim(), records.loggedSession(), records.bound())
            if !isBound { claim.boundHolder = nil }
            (session.client, session.watch) = (nil, nil)
            bound.session = session.table.id
            var needed = size(claim.loggedByteCount)
            if isBound {
                needed += size(session.loggedByteCount)
                needed += size(bound.loggedByteCount)
            }
            let terms = AcquireTerms(
                names: claim.names,
                owner: claim.owner,
                note: claim.note,
                binding: isBound ? .pidfd : nil
            )
            #expect(LockService.loggedByteCount(of: terms) >= needed)
        }
    }

    @Test func anyBytesAreARecordOrNone() {
        var random = SeededNumbers(seed: 3)
        var records = RandomRecords(random: SeededNumbers(seed: 4))
        var readCount = 0
        for _ in 0..<5000 {
            var bytes = random.bytes(random.below(200))
            if random.chance(70) {
                // Nearly right, so that more than the first number is looked at.
                bytes = [UInt8](repeating: 0, count: 1 << 15)
                let claim = records.claim()
                bytes.withUnsafeMutableBytes { memory in
                    guard let start = memory.baseAddress else { return }
                    var writer = LogWriter(start)
                    claim.write(to: &writer)
                }
                let count = random.chance(50) ? claim.loggedByteCount : random.below(claim.loggedByteCount + 1)
                bytes.removeLast(bytes.count - count)
                if !bytes.isEmpty { bytes[random.below(bytes.count)] ^= 1 << random.below(8) }
            }
            bytes.withUnsafeBytes { memory in
                func read<Value>(_ body: (inout LogParser) throws(LogParser.Problem) -> Value) {
                    var parser = LogParser(memory)
                    if (try? body(&parser)) != nil { readCount += 1 }
                }
                read { parser throws(LogParser.Problem) in try ClaimRecord(&parser) }
                read { parser throws(LogParser.Problem) in try LogRecord.Session(&parser) }
                read { parser throws(LogParser.Problem) in try LogRecord.Bound(&parser) }
            }
        }
        // Neither everything nor nothing is one.
        #expect(readCount > 100 && readCount < 10_000)
    }
}
