import Testing

@testable import LockdServer

@Suite struct LogRingTests {
    /// A ring in memory of its own, and what a reader finds in it.
    private final class Fixture {
        let memory: UnsafeMutableRawBufferPointer
        var ring: LogRing

        init(capacity: Int) {
            memory = .allocate(byteCount: capacity, alignment: 8)
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            ring = LogRing(memory: memory)
        }

        deinit { memory.deallocate() }

        func append(_ bytes: [UInt8], slot: Int = 1) -> UInt64? {
            ring.append(.input, slot: slot, payloadByteCount: bytes.count) { start in
                bytes.withUnsafeBytes {
                    if let base = $0.baseAddress { start.copyMemory(from: base, byteCount: $0.count) }
                }
            }
        }

        func appendPart(_ bytes: [UInt8]) -> Bool {
            guard let start = ring.appendPart(byteCount: bytes.count) else { return false }
            bytes.withUnsafeBytes {
                if let base = $0.baseAddress { start.copyMemory(from: base, byteCount: $0.count) }
            }
            return true
        }

        /// The payloads of all undamaged records from the head on, and whether each is the last of a commit.
        func read() -> [(payload: [UInt8], isLast: Bool)] {
            var found: [(payload: [UInt8], isLast: Bool)] = []
            var next = ring.head
            while next < ring.tail {
                guard let (header, position) = LogRing.header(at: next, in: UnsafeRawBufferPointer(memory)),
                    let (payload, isLast) = LogRing.check(header, at: position, in: UnsafeRawBufferPointer(memory))
                else { break }
                found.append((Array(payload), isLast))
                next = position + UInt64(LogRing.rounded(header.byteCount))
            }
            return found
        }
    }

    @Test func recordsAreReadAsTheyWereWritten() throws {
        let fixture = Fixture(capacity: 1024)
        for length in [0, 1, 7, 8, 9, 100] {
            #expect(fixture.append(Array(repeating: UInt8(length), count: length)) != nil)
        }
        #expect(fixture.read().isEmpty)
        _ = fixture.ring.commit()
        let found = fixture.read()
        #expect(found.map(\.payload.count) == [0, 1, 7, 8, 9, 100])
        #expect(found.map(\.isLast) == [false, false, false, false, false, true])
    }

    @Test func fullRingTakesNothingMoreAndLosesNothing() {
        let fixture = Fixture(capacity: 256)
        var count = 0
        while fixture.append([UInt8](repeating: 7, count: 16)) != nil { count += 1 }
        #expect(count == 7)
        _ = fixture.ring.commit()
        #expect(fixture.read().count == 7)
    }

    @Test func roomBeforeTheHeadIsUsedOnceTheHeadIsPublished() {
        let fixture = Fixture(capacity: 256)
        while fixture.append([UInt8](repeating: 7, count: 16)) != nil {}
        _ = fixture.ring.commit()
        fixture.ring.dropOldest()
        fixture.ring.dropOldest()
        let larger = [UInt8](repeating: 8, count: 24)
        #expect(fixture.append(larger) == nil)
        fixture.ring.publishHead()
        #expect(fixture.append(larger) != nil)
    }

    /// Whatever lengths come, the ring is read back as what is left in it, over many rounds.
    @Test(arguments: [128, 136, 144, 248, 256, 264, 1000, 1008])
    func goesRoundAtEveryLength(capacity: Int) {
        let fixture = Fixture(capacity: capacity)
        var generator = SystemRandomNumberGenerator()
        var expected: [[UInt8]] = []
        for number in 0..<2000 {
            let payload = (0..<Int.random(in: 0...capacity / 4, using: &generator)).map {
                UInt8(truncatingIfNeeded: $0 + number)
            }
            while fixture.append(payload) == nil {
                guard !expected.isEmpty else { break }
                fixture.ring.dropOldest()
                fixture.ring.publishHead()
                expected.removeFirst()
            }
            expected.append(payload)
            _ = fixture.ring.commit()
            #expect(fixture.read().map(\.payload) == expected)
        }
    }

    /// Records and parts, in any order, are read back as one stream, over many rounds.
    @Test(arguments: [128, 136, 144, 248, 256, 264, 1000, 1008])
    func partsGoRoundAtEveryLength(capacity: Int) {
        let fixture = Fixture(capacity: capacity)
        var generator = SystemRandomNumberGenerator()
        var written: [UInt8] = []
        for number in 0..<2000 {
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let count = 8 * Int.random(in: 0...capacity / 64, using: &generator)
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 + number) }
                let isPart = count > 0 && Bool.random(using: &generator)
                let hasRoom = isPart ? fixture.appendPart(bytes) : fixture.append(bytes) != nil
                if hasRoom { written += bytes }
            }
            _ = fixture.ring.commit()
            let found = fixture.read()
            #expect(written.suffix(found.reduce(0) { $0 + $1.payload.count }) == found.flatMap(\.payload)[...])
            #expect(found.last?.isLast == true)
            for _ in 0..<Int.random(in: 1...3, using: &generator) where fixture.ring.oldest != nil {
                fixture.ring.dropOldest()
            }
            fixture.ring.publishHead()
        }
        #expect(written.count > 20 * capacity)
    }

    @Test func partsAreOneRecordUntilAnotherOneComes() {
        let fixture = Fixture(capacity: 1024)
        for number in 1...3 { #expect(fixture.appendPart([UInt8](repeating: UInt8(number), count: 3))) }
        #expect(fixture.ring.freeByteCount == 1024 - 16 - 3 * 8)
        _ = fixture.append([9])
        #expect(fixture.appendPart([4]))
        _ = fixture.ring.commit()
        let parts = [1, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 3, 3, 3, 0, 0, 0, 0, 0] as [UInt8]
        #expect(fixture.read().map(\.payload) == [parts, [9], [4, 0, 0, 0, 0, 0, 0, 0]])
        #expect(fixture.read().map(\.isLast) == [false, false, true])
    }

    @Test func everyChangedBitIsNoticed() {
        let fixture = Fixture(capacity: 256)
        _ = fixture.append(Array("GRANTED a token=1".utf8))
        _ = fixture.append(Array("RELEASED a".utf8), slot: 300_000)
        _ = fixture.ring.commit()
        let whole = fixture.read()
        for bit in 0..<Int(fixture.ring.tail) * 8 {
            fixture.memory[bit / 8] ^= 1 << (bit % 8)
            #expect(fixture.read().count < whole.count, "bit \(bit)")
            fixture.memory[bit / 8] ^= 1 << (bit % 8)
        }
        #expect(fixture.read().count == whole.count)
    }

    @Test func recordOfAnEarlierRoundIsNone() {
        let fixture = Fixture(capacity: 128)
        _ = fixture.append([UInt8](repeating: 1, count: 16))
        _ = fixture.ring.commit()
        let start = Array(fixture.memory[..<32])
        // Once round: the same bytes at the same place are another position.
        for _ in 0..<4 {
            fixture.ring.dropOldest()
            fixture.ring.publishHead()
            _ = fixture.append([UInt8](repeating: 2, count: 16))
            _ = fixture.ring.commit()
        }
        for index in start.indices { fixture.memory[index] = start[index] }
        #expect(
            LogRing.header(at: 128, in: UnsafeRawBufferPointer(fixture.memory)).flatMap {
                LogRing.check($0.header, at: $0.position, in: UnsafeRawBufferPointer(fixture.memory))
            } == nil
        )
    }
}
