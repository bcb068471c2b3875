import LockdWire
import Testing

/// A line as a framer gave it out, copied.
private enum SeenLine: Equatable, CustomStringConvertible {
    case complete(String)
    case tooLong(head: String)

    init(_ line: LineFramer.Line) {
        switch line {
        case .complete(let bytes): self = .complete(String(decoding: bytes, as: UTF8.self))
        case .tooLong(let head): self = .tooLong(head: String(decoding: head, as: UTF8.self))
        }
    }

    var description: String {
        switch self {
        case .complete(let line): line.debugDescription
        case .tooLong(let head): "too long: " + head.debugDescription
        }
    }
}

extension LineFramer {
    fileprivate mutating func append(_ piece: some Collection<UInt8>) {
        Array(piece).withUnsafeBytes { append($0) }
    }

    fileprivate mutating func append(_ piece: String) { append(piece.utf8) }

    fileprivate mutating func next() -> SeenLine? { nextLine { SeenLine($0) } }

    /// All lines that are complete.
    fileprivate mutating func lines() -> [SeenLine] {
        var lines: [SeenLine] = []
        while let line = next() { lines.append(line) }
        return lines
    }
}

@Suite struct LineFramerTests {
    /// With a limit of 8: lines of every kind, next to each other.
    private let stream = bytes(
        "PING\r\n\nACQUIRE8\n123456789\nQUIT\n#t 12345678901234567890\n\r\n12345678\n1234567890\n\nlast"
    )
    private let lines: [SeenLine] = [
        .complete("PING\r"), .complete(""), .complete("ACQUIRE8"), .tooLong(head: "12345678"), .complete("QUIT"),
        .tooLong(head: "#t 12345"), .complete("\r"), .complete("12345678"), .tooLong(head: "12345678"), .complete(""),
    ]

    @Test func aStreamInOnePieceIsItsLines() {
        var framer = LineFramer(limit: 8)
        framer.append(stream)
        #expect(framer.lines() == lines)
        #expect(framer.bufferedByteCount == 4)
    }

    @Test func aStreamIsItsLinesWhereverItIsCutInThree() {
        var wrong: [String] = []
        for first in 0...stream.count {
            for second in first...stream.count {
                var framer = LineFramer(limit: 8)
                var seen: [SeenLine] = []
                for piece in [stream[..<first], stream[first..<second], stream[second...]] {
                    framer.append(piece)
                    seen += framer.lines()
                }
                if seen != lines || framer.bufferedByteCount != 4 {
                    wrong.append("cut at \(first) and \(second): \(seen)")
                }
            }
        }
        #expect(wrong == [])
    }

    @Test(arguments: 1...9)
    func aStreamInEqualPiecesIsItsLines(length: Int) {
        var framer = LineFramer(limit: 8)
        var seen: [SeenLine] = []
        for begin in stride(from: 0, to: stream.count, by: length) {
            framer.append(stream[begin..<min(begin + length, stream.count)])
            seen += framer.lines()
        }
        #expect(seen == lines)
    }

    @Test func linesThatWereNotTakenStayInOrder() {
        var framer = LineFramer(limit: 8)
        framer.append("one\ntwo\nthr")
        #expect(framer.next() == .complete("one"))
        framer.append("ee\nfour\nfi")
        #expect(framer.next() == .complete("two"))
        #expect(framer.next() == .complete("three"))
        framer.append("ve\nsix")
        #expect(framer.lines() == [.complete("four"), .complete("five")])
        #expect(framer.bufferedByteCount == 3)
    }

    @Test func everySplitBetweenAppendingAndTakingGivesTheSameLines() {
        // After each piece only `taken` lines are taken, so that lines pile up and pieces arrive behind lines that
        // wait.
        for length in 1...12 {
            for taken in 0...2 {
                var framer = LineFramer(limit: 8)
                var seen: [SeenLine] = []
                for begin in stride(from: 0, to: stream.count, by: length) {
                    framer.append(stream[begin..<min(begin + length, stream.count)])
                    for _ in 0..<taken { if let line = framer.next() { seen.append(line) } }
                }
                #expect(seen + framer.lines() == lines, "pieces of \(length), \(taken) lines after each")
            }
        }
    }

    @Test func aLineAsLongAsTheLimitIsComplete() {
        var framer = LineFramer(limit: 8)
        framer.append("12345678")
        #expect(framer.next() == nil)
        framer.append("\n")
        #expect(framer.next() == .complete("12345678"))
    }

    @Test func aCarriageReturnCountsAsAByteOfTheLine() {
        var framer = LineFramer(limit: 8)
        framer.append("1234567\r\n12345678\r\n")
        #expect(framer.lines() == [.complete("1234567\r"), .tooLong(head: "12345678")])
    }

    @Test func aLineThatIsTooLongIsReportedOnceAndBeforeItEnds() {
        var framer = LineFramer(limit: 8)
        framer.append("#t 123456")
        #expect(framer.lines() == [.tooLong(head: "#t 12345")])
        framer.append("7890")
        #expect(framer.lines() == [])
        framer.append("more\nPING\n")
        #expect(framer.lines() == [.complete("PING")])
    }

    @Test func nothingIsKeptOfALineThatIsTooLong() {
        var framer = LineFramer(limit: 8)
        for _ in 0..<1000 {
            framer.append("0123456789")
            _ = framer.next()
            #expect(framer.bufferedByteCount == 0)
        }
        framer.append("\nPING\n")
        #expect(framer.lines() == [.complete("PING")])
    }

    @Test func anEmptyPieceChangesNothing() {
        var framer = LineFramer(limit: 8)
        framer.append("")
        #expect(framer.next() == nil)
        framer.append("PI")
        framer.append("")
        framer.append("NG\n")
        #expect(framer.lines() == [.complete("PING")])
    }

    @Test func aLineIsTakenEvenIfItsReaderThrows() {
        struct Unreadable: Error {}
        var framer = LineFramer(limit: 8)
        framer.append("one\ntwo\n")
        #expect(throws: Unreadable.self) {
            try framer.nextLine { _ throws(Unreadable) -> Void in throw Unreadable() }
        }
        #expect(framer.next() == .complete("two"))
    }

    @Test func aStreamOfManyKibibytesIsItsLines() {
        // Larger than what the framer keeps when it runs empty, with lines across every piece.
        var framer = LineFramer(limit: 8192)
        let expected = (0..<5000).map { SeenLine.complete(String(repeating: "x", count: $0 % 37) + String($0)) }
        let stream = (0..<5000).flatMap { bytes(String(repeating: "x", count: $0 % 37) + "\($0)\n") }
        var seen: [SeenLine] = []
        for begin in stride(from: 0, to: stream.count, by: 16_384) {
            framer.append(stream[begin..<min(begin + 16_384, stream.count)])
            seen += framer.lines()
        }
        #expect(seen == expected)
        #expect(framer.bufferedByteCount == 0)
    }
}
