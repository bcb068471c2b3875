/// Cuts a stream of bytes into lines, whatever pieces the stream arrives in.
///
/// Append what was read, then take lines until there is none. Whoever stops in between finds the remaining lines later,
/// in order. Every byte is looked at once, also if each arrives alone.
///
/// Memory is bounded by the line limit plus what is appended before lines are taken: of a line that is too long,
/// nothing is kept once it was reported.
public struct LineFramer: Sendable {
    /// A line of the stream.
    public enum Line {
        /// All bytes of the line without its LF; a CR before that is still there. Valid during the call only.
        case complete(UnsafeRawBufferPointer)
        /// The line has more bytes than the limit before its LF; these are its first ones, as many as the limit. Valid
        /// during the call only.
        case tooLong(head: UnsafeRawBufferPointer)
    }

    /// The most bytes of a line, without its LF.
    public let limit: Int

    private var storage: [UInt8] = []
    /// Where the first line begins that was not taken yet.
    private var start = 0
    /// Up to here there is no LF behind `start`.
    private var scanned = 0
    /// Whether the stream is inside of a line that was reported as too long; then nothing is buffered.
    public private(set) var isDiscarding = false
    /// How many bytes of the stream were taken, or dropped.
    public private(set) var takenByteCount: UInt64 = 0

    /// Storage larger than this is given back when it runs empty: an idle session should cost little, a busy one should
    /// not allocate.
    private static let retainedCapacity = 4096

    /// A framer at the beginning of a stream, for lines of at most `limit` bytes.
    public init(limit: Int) {
        self.limit = limit
    }

    /// A framer in the middle of a stream: in front of `bytes`, or inside of a line that is being dropped.
    public init(limit: Int, goingOnWith bytes: [UInt8], isDiscarding: Bool) {
        self.limit = limit
        storage = bytes
        self.isDiscarding = isDiscarding
    }

    /// Calls `body` with the bytes that are kept, the first of them being that behind ``takenByteCount``.
    public func withBufferedBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        storage.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    }

    /// Drops what is kept of a line that is not complete.
    public mutating func dropIncompleteLine() {
        let complete = storage.lastIndex(of: UInt8(ascii: "\n")).map { max($0 + 1, start) } ?? start
        takenByteCount += UInt64(storage.count - complete)
        storage.removeSubrange(complete...)
        scanned = min(scanned, complete)
        isDiscarding = false
        releaseIfEmpty()
    }

    /// How many bytes are kept that no line was made of yet.
    public var bufferedByteCount: Int { storage.count - start }

    /// Continues the stream with `bytes`.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        var bytes = bytes
        if isDiscarding {
            guard let end = bytes.offset(of: UInt8(ascii: "\n")) else {
                takenByteCount += UInt64(bytes.count)
                return
            }
            takenByteCount += UInt64(end + 1)
            isDiscarding = false
            bytes = bytes.from(end + 1)
        }
        // Moving no more bytes than were taken keeps the work linear.
        if start > 0, bufferedByteCount <= start {
            storage.removeSubrange(..<start)
            scanned -= start
            start = 0
        }
        storage.append(contentsOf: bytes)
    }

    /// Takes the next line and returns what `body` makes of it, or returns `nil` if no further line is complete.
    ///
    /// The line counts as taken even if `body` throws. `body` must not use the framer.
    @inlinable
    public mutating func nextLine<Value, Failure>(
        _ body: (Line) throws(Failure) -> Value
    ) throws(Failure) -> Value? {
        // Inlinable, because the caller then knows what it makes of a line; else every request is copied by way of its
        // type's metadata, which costs more than reading it.
        var result: Result<Value, Failure>?
        _ = takeLine { line in result = Result { () throws(Failure) in try body(line) } }
        return try result?.get()
    }

    /// Takes the next line, if there is a complete one, and hands it to `body`, which must not use the framer; says whether there was one.
    public mutating func takeLine(_ body: (Line) -> Void) -> Bool {
        guard let end = storage.withUnsafeBytes({ $0.offset(of: UInt8(ascii: "\n"), from: scanned) }) else {
            scanned = storage.count
            guard bufferedByteCount > limit else { return false }
            isDiscarding = true
            take(upTo: storage.count, body)
            return true
        }
        scanned = end + 1
        take(upTo: end, body)
        return true
    }

    /// Calls `body` with the line that ends before `end`, and forgets everything before `scanned`.
    private mutating func take(upTo end: Int, _ body: (Line) -> Void) {
        let begin = start
        start = scanned
        takenByteCount += UInt64(start - begin)
        defer { releaseIfEmpty() }
        storage.withUnsafeBytes { bytes in
            if end - begin > limit {
                body(.tooLong(head: UnsafeRawBufferPointer(rebasing: bytes[begin..<begin + limit])))
            } else {
                body(.complete(UnsafeRawBufferPointer(rebasing: bytes[begin..<end])))
            }
        }
    }

    private mutating func releaseIfEmpty() {
        guard start == storage.count else { return }
        storage.removeAll(keepingCapacity: storage.capacity <= Self.retainedCapacity)
        start = 0
        scanned = 0
    }
}
