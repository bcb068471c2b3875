/// Bytes that wait to be written, in order.
struct OutputBuffer {
    private(set) var bytes: [UInt8] = []
    private var start = 0
    /// How many bytes were taken from the front since the beginning.
    private(set) var takenByteCount: UInt64 = 0

    /// A buffer that grew larger than this gives its memory back when it is empty.
    private static let keptCapacity = 4096

    var count: Int { bytes.count - start }
    var isEmpty: Bool { bytes.count == start }

    /// Adds what `write` appends.
    mutating func append<Result>(_ write: (inout [UInt8]) -> Result) -> Result {
        // Of a buffer that never runs empty, too, what was taken is given back. Moving no more bytes than were taken keeps the work linear.
        if start > Self.keptCapacity, count <= start {
            bytes.removeSubrange(..<start)
            start = 0
        }
        return write(&bytes)
    }

    /// Calls `body` with the bytes, the first of them being that behind ``takenByteCount``.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    }

    /// Hands out the bytes, and drops as many from the front as `body` says it has taken.
    mutating func drain(_ body: (UnsafeRawBufferPointer) -> Int) {
        let taken = bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        start += taken
        takenByteCount += UInt64(taken)
        if isEmpty { removeAll() }
    }

    mutating func removeAll() {
        takenByteCount += UInt64(count)
        bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptCapacity)
        start = 0
    }
}
