/// Records one behind the other, in a piece of memory that is used again from its beginning when its end is reached.
///
/// A record stands at a *position*, which counts all bytes that were ever written, and never wraps. It has a header of 16 bytes: a checksum of
/// everything else and of the position, so that a record of an earlier round is none; its length in bytes; its kind, and its slot. Records begin
/// at multiples of eight bytes and are in one piece: what is left of the memory when the next does not fit is skipped.
struct LogRing {
    /// What a record says, and of what.
    struct Header: Equatable {
        let kind: LogRecord.Kind
        let slot: Int
        /// Of the whole record.
        let byteCount: Int
    }

    static let headerByteCount = 16
    /// What the checksum of the last record of a commit is changed by.
    private static let lastMark: UInt64 = 0x5A5A_0F0F_C3C3_9696
    private static let mostSlots = 1 << 24

    private let memory: UnsafeMutableRawBufferPointer
    /// From here on there are records that count.
    private(set) var head: UInt64 = 0
    /// Up to here they are committed.
    private(set) var tail: UInt64 = 0
    /// Up to here they are written.
    private(set) var end: UInt64 = 0
    /// What a reader still takes for the head: the memory before it is not used again.
    private var publishedHead: UInt64 = 0
    // Where these positions are in the memory: to divide by its size for every record would cost more than to write one.
    private var headOffset = 0
    private var endOffset = 0
    private var lastOffset: Int?

    init(memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    var capacity: Int { memory.count }
    /// How many bytes can be written before the memory is full, if none of them has to be in another place.
    var freeByteCount: Int { capacity - Int(end - publishedHead) }
    var usedByteCount: Int { Int(end - head) }

    /// Adds a record with `payloadByteCount` bytes, which `write` fills in, and says where it is; nothing if there is no room.
    @inline(__always)
    mutating func append(
        _ kind: LogRecord.Kind,
        slot: Int,
        payloadByteCount: Int,
        _ write: (UnsafeMutableRawPointer) -> Void
    ) -> UInt64? {
        precondition(slot < Self.mostSlots, "slot \(slot) is beyond what a record can say")
        let byteCount = Self.headerByteCount + payloadByteCount
        let size = Self.rounded(byteCount)
        let rest = capacity - endOffset
        let skipped = size <= rest ? 0 : rest
        guard size + skipped < freeByteCount, let base = memory.baseAddress else { return nil }
        if skipped >= Self.headerByteCount {
            let word = UInt64(Self.headerByteCount) | UInt64(LogRecord.Kind.skip.rawValue) << 32
            (base + endOffset + 8).storeBytes(of: word, as: UInt64.self)
        }
        let position = end + UInt64(skipped)
        let offset = skipped == 0 ? endOffset : 0
        let start = base + offset
        // What fills up the last eight bytes is part of the checksum.
        (start + size - 8).storeBytes(of: 0, as: UInt64.self)
        write(start + Self.headerByteCount)
        let word = UInt64(byteCount) | UInt64(kind.rawValue) << 32 | UInt64(slot) << 40
        (start + 8).storeBytes(of: word, as: UInt64.self)
        let checksum = LogChecksum.of(UnsafeRawBufferPointer(start: start + 8, count: size - 8), at: position)
        start.storeBytes(of: checksum, as: UInt64.self)
        lastOffset = offset
        end = position + UInt64(size)
        endOffset = wrapped(offset + size)
        return position
    }

    /// Marks the last record that was written as the last of a commit, and says up to where the records are then.
    ///
    /// A reader finds either all of them or none.
    mutating func commit() -> UInt64 {
        if let lastOffset, let base = memory.baseAddress {
            let start = base + lastOffset
            start.storeBytes(of: start.load(as: UInt64.self) ^ Self.lastMark, as: UInt64.self)
        }
        lastOffset = nil
        tail = end
        return tail
    }

    /// Takes note that a reader knows of the present head.
    mutating func publishHead() { publishedHead = head }

    /// The oldest record that is committed.
    var oldest: (header: Header, position: UInt64)? {
        guard head < tail else { return nil }
        let found = Self.header(at: head, offset: headOffset, in: UnsafeRawBufferPointer(memory))
        return found.map { ($0.header, $0.position) }
    }

    /// Lets go of the oldest record.
    mutating func dropOldest() {
        if let oldest { drop(oldest.header, at: oldest.position) }
    }

    /// Lets go of the oldest record, which is this one.
    mutating func drop(_ header: Header, at position: UInt64) {
        let offset = wrapped(headOffset + Int(position - head))
        head = position + UInt64(Self.rounded(header.byteCount))
        headOffset = wrapped(offset + Self.rounded(header.byteCount))
    }

    /// An offset of no more than the capacity behind one that is less.
    @inline(__always)
    private func wrapped(_ offset: Int) -> Int { offset < capacity ? offset : offset - capacity }

    // MARK: Reading

    /// The record at a position or behind what is skipped there, and where it is; nothing if that cannot be one.
    static func header(
        at position: UInt64,
        in memory: UnsafeRawBufferPointer
    ) -> (header: Header, position: UInt64)? {
        header(at: position, offset: Int(position % UInt64(memory.count)), in: memory)
    }

    private static func header(
        at position: UInt64,
        offset: Int,
        in memory: UnsafeRawBufferPointer
    ) -> (header: Header, position: UInt64)? {
        let rest = memory.count - offset
        if rest >= headerByteCount {
            guard let found = header(exactlyAt: offset, in: memory) else { return nil }
            if found.kind != .skip { return (found, position) }
        }
        return header(exactlyAt: 0, in: memory).map { ($0, position + UInt64(rest)) }
    }

    /// What is at a position, if it is a record and undamaged; and whether it is the last of a commit.
    static func check(
        _ header: Header,
        at position: UInt64,
        in memory: UnsafeRawBufferPointer
    ) -> (payload: UnsafeRawBufferPointer, isLast: Bool)? {
        let start = Int(position % UInt64(memory.count))
        let size = rounded(header.byteCount)
        guard size <= memory.count - start else { return nil }
        let checksum = LogChecksum.of(UnsafeRawBufferPointer(rebasing: memory[start + 8..<start + size]), at: position)
        let difference = checksum ^ memory.load(fromByteOffset: start, as: UInt64.self)
        guard difference == 0 || difference == lastMark else { return nil }
        let payload = memory[start + headerByteCount..<start + header.byteCount]
        return (UnsafeRawBufferPointer(rebasing: payload), difference == lastMark)
    }

    static func rounded(_ byteCount: Int) -> Int { (byteCount + 7) & ~7 }

    private static func header(exactlyAt offset: Int, in memory: UnsafeRawBufferPointer) -> Header? {
        let word = memory.load(fromByteOffset: offset + 8, as: UInt64.self)
        let byteCount = Int(word & 0xFFFF_FFFF)
        guard let kind = LogRecord.Kind(rawValue: UInt8(word >> 32 & 0xFF)), byteCount >= headerByteCount else {
            return nil
        }
        return Header(kind: kind, slot: Int(word >> 40), byteCount: byteCount)
    }
}
