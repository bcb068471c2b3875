import Testing

@testable import LockdServer

@Suite struct OutputBufferTests {
    @Test func newOneIsEmpty() {
        let buffer = OutputBuffer()
        #expect(buffer.isEmpty)
        #expect(buffer.count == 0)
    }

    @Test func bytesComeOutInOrderHoweverTheyAreTaken() {
        var buffer = OutputBuffer()
        var taken: [UInt8] = []
        var next: UInt8 = 0
        for size in [1, 5, 3, 200, 7, 64] {
            buffer.append { $0 += (0..<size).map { UInt8(truncatingIfNeeded: Int(next) + $0) } }
            next = UInt8(truncatingIfNeeded: Int(next) + size)
            buffer.drain { bytes in
                let count = min(bytes.count, 40)
                taken += bytes[..<count]
                return count
            }
        }
        while !buffer.isEmpty {
            buffer.drain { bytes in
                taken += bytes
                return bytes.count
            }
        }
        #expect(taken == (0..<280).map { UInt8(truncatingIfNeeded: $0) })
        #expect(buffer.count == 0)
    }

    @Test func takingNothingChangesNothing() {
        var buffer = OutputBuffer()
        buffer.append { $0 += [1, 2, 3] }
        buffer.drain { _ in 0 }
        #expect(buffer.count == 3)
    }

    @Test func countIsWhatWaits() {
        var buffer = OutputBuffer()
        buffer.append { $0 += [1, 2, 3] }
        buffer.drain { _ in 2 }
        #expect(buffer.count == 1)
        buffer.append { $0 += [4] }
        #expect(buffer.count == 2)
        buffer.removeAll()
        #expect(buffer.isEmpty)
    }

    /// A client that always leaves a little unread must not make the daemon keep all that it has read.
    @Test func memoryIsBoundedThoughItNeverRunsEmpty() {
        var buffer = OutputBuffer()
        let page = [UInt8](repeating: 1, count: 999) + [UInt8(ascii: "\n")]
        buffer.append { $0 += page }
        for _ in 0..<10_000 {
            buffer.append { $0 += page }
            buffer.drain { _ in 1000 }
        }
        #expect(buffer.count == 1000)
        #expect(buffer.bytes.count < 10_000)
    }

    @Test func newStreamBeginsWithTheWholeOfALineThatWasWrittenInPart() {
        var buffer = OutputBuffer()
        buffer.append { $0 += Array("PONG\nBYE\n".utf8) }
        buffer.drain { _ in 7 }
        #expect(buffer.skippedByteCount == 2)
        buffer.beginStream(with: Array("WELCOME\n".utf8))
        #expect(buffer.withUnsentBytes { String(decoding: $0, as: UTF8.self) } == "WELCOME\nBYE\n")
    }

    @Test func whatIsPutInFrontStandsBehindALineThatWasBegun() {
        var buffer = OutputBuffer(Array("PONG\nBYE\n".utf8), skipping: 2)
        buffer.insertBehindFirstLine(Array("* RESTORED\n".utf8))
        #expect(buffer.withUnsentBytes { String(decoding: $0, as: UTF8.self) } == "NG\n* RESTORED\nBYE\n")
        var whole = OutputBuffer(Array("PONG\n".utf8), skipping: 0)
        whole.insertBehindFirstLine(Array("* RESTORED\n".utf8))
        #expect(whole.withUnsentBytes { String(decoding: $0, as: UTF8.self) } == "* RESTORED\nPONG\n")
    }

    @Test func allThatWasAppendedIsCounted() {
        var buffer = OutputBuffer()
        buffer.append { $0 += Array("PONG\nBYE\n".utf8) }
        buffer.drain { _ in 3 }
        #expect((buffer.appendedByteCount, buffer.sentByteCount) == (9, 3))
        buffer.removeAll()
        buffer.append { $0 += [1] }
        #expect((buffer.appendedByteCount, buffer.sentByteCount) == (10, 9))
    }
}
