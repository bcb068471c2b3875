/// Bytes that wait to be written, in order: lines.
///
/// Of a line that was written in part, the beginning is kept: should the session go on with another connection, all of it is written there.
struct OutputBuffer {
    private(set) var bytes: [UInt8] = []
    /// Where the first line begins that was not written as a whole.
    private var start = 0
    /// Up to here it was written.
    private var sent = 0
    /// How many bytes were written since the beginning.
    private(set) var sentByteCount: UInt64 = 0

    /// A buffer that grew larger than this gives its memory back when it is empty.
    private static let keptCapacity = 4096

    var count: Int { bytes.count - sent }
    var isEmpty: Bool { bytes.count == sent }
    /// How many bytes were appended since the beginning.
    var appendedByteCount: UInt64 { sentByteCount + UInt64(count) }
    /// How many bytes of the first line were written.
    var skippedByteCount: Int { sent - start }

    /// No line is longer.
    private static let longestLine = 16 * 1024

    init() {}

    /// Lines of which some bytes at the beginning were written.
    init(_ lines: [UInt8], skipping count: Int) {
        bytes = lines
        sent = min(count, lines.count)
    }

    /// Adds what `write` appends.
    mutating func append<Result>(_ write: (inout [UInt8]) -> Result) -> Result {
        // Of a buffer that never runs empty, too, what was taken is given back. Moving no more bytes than were taken keeps the work linear.
        if start > Self.keptCapacity, bytes.count - start <= start {
            bytes.removeSubrange(..<start)
            sent -= start
            start = 0
        }
        return write(&bytes)
    }

    /// Puts lines in front of all lines that were not written as a whole, which is to be done only where a new stream begins.
    mutating func beginStream(with lines: [UInt8]) {
        bytes.replaceSubrange(..<start, with: lines)
        (start, sent) = (0, 0)
    }

    /// Puts lines in front of all that were not written, but for one that was begun.
    mutating func insertBehindFirstLine(_ lines: [UInt8]) {
        var place = sent
        if sent > start, let end = bytes[sent...].firstIndex(of: UInt8(ascii: "\n")) { place = end + 1 }
        bytes.insert(contentsOf: lines, at: place)
    }

    /// Calls `body` with the bytes that were not written.
    func withUnsentBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
    }

    /// Calls `body` with all bytes from the beginning of the first line that was not written as a whole.
    func withLines<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    }

    /// Hands out the bytes, and drops as many from the front as `body` says it has taken.
    mutating func drain(_ body: (UnsafeRawBufferPointer) -> Int) {
        let taken = bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
        sentByteCount += UInt64(taken)
        if taken == count { return forget() }
        let end = bytes[sent..<sent + taken].lastIndex(of: UInt8(ascii: "\n"))
        sent += taken
        start = max(end.map { $0 + 1 } ?? start, sent - Self.longestLine)
    }

    mutating func removeAll() {
        sentByteCount += UInt64(count)
        forget()
    }

    private mutating func forget() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptCapacity)
        (start, sent) = (0, 0)
    }
}
