import Glibc

/// Bytes that are put together to be written: a listing has them by the ten million, and a string for each word would cost more than all else.
///
/// Its memory grows in place where it can, as that of an array does not.
struct ByteBuffer: ~Copyable {
    private var start: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init() {
        capacity = 256
        start = Self.memory(nil, capacity)
    }

    deinit { free(start) }

    /// Calls `body` with the bytes, which are `body`'s during the call only.
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// These bytes, of which what is no UTF-8 is replaced.
    func text(_ range: Range<Int>) -> String { String(decoding: withBytes { $0[range] }, as: UTF8.self) }

    var last: UInt8? { count == 0 ? nil : start.load(fromByteOffset: count - 1, as: UInt8.self) }

    /// Drops everything behind the first `count` bytes.
    mutating func cut(to count: Int) {
        precondition((0...self.count).contains(count), "\(count) bytes are to be left of \(self.count)")
        self.count = count
    }

    /// Appends `count` spaces.
    mutating func write(spaces count: Int) {
        makeRoom(for: count)
        memset(start + self.count, CInt(UInt8(ascii: " ")), count)
        self.count += count
    }

    @inline(__always)
    mutating func write(byte: UInt8) {
        makeRoom(for: 1)
        start.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    @inline(__always)
    mutating func write(bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        makeRoom(for: bytes.count)
        (start + count).copyMemory(from: source, byteCount: bytes.count)
        count += bytes.count
    }

    @inline(__always)
    mutating func write(_ literal: StaticString) {
        write(bytes: UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    // With a label, because a literal would be taken for a string otherwise.
    mutating func write(text: String) {
        var text = text
        text.withUTF8 { write(bytes: UnsafeRawBufferPointer($0)) }
    }

    mutating func write(_ number: Int64) {
        if number < 0 { write(byte: UInt8(ascii: "-")) }
        write(number.magnitude)
    }

    mutating func write(_ number: UInt64) {
        var (digitCount, bound): (Int, UInt64) = (1, 10)
        while digitCount < 20, number >= bound {
            digitCount += 1
            bound = bound.multipliedReportingOverflow(by: 10).partialValue
        }
        makeRoom(for: digitCount)
        var rest = number
        for place in stride(from: count + digitCount - 1, through: count, by: -1) {
            start.storeBytes(
                of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10),
                toByteOffset: place,
                as: UInt8.self
            )
            rest /= 10
        }
        count += digitCount
    }

    @inline(__always)
    private mutating func makeRoom(for byteCount: Int) {
        if capacity - count < byteCount { grow(byteCount) }
    }

    @inline(never)
    private mutating func grow(_ byteCount: Int) {
        capacity = max(capacity * 2, count + byteCount)
        start = Self.memory(start, capacity)
    }

    private static func memory(_ old: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer {
        guard let memory = realloc(old, byteCount) else { fatalError("no memory for \(byteCount) bytes") }
        return memory
    }
}
