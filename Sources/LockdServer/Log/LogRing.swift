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

    private let base: UnsafeMutableRawPointer
    let capacity: Int
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
    /// How long the record at the end is to which parts are added, 0 if there is none.
    private(set) var openByteCount = 0

    /// A ring in some memory, of which there has to be some.
    init(memory: UnsafeMutableRawBufferPointer) {
        guard let base = memory.baseAddress else { preconditionFailure("a ring needs memory") }
        (self.base, capacity) = (base, memory.count)
    }

    /// How many bytes can be written before the memory is full, if none of them has to be in another place.
    var freeByteCount: Int { capacity - Int(end - publishedHead) - openByteCount }
    var usedByteCount: Int { Int(end - head) + openByteCount }

    /// One that goes on behind records that are there: from a head to a tail at multiples of eight bytes.
    init(memory: UnsafeMutableRawBufferPointer, from head: UInt64, to tail: UInt64) {
        self.init(memory: memory)
        (self.head, self.tail, end, publishedHead) = (head, tail, tail, head)
        (headOffset, endOffset) = (Int(head % UInt64(capacity)), Int(tail % UInt64(capacity)))
    }

    /// Adds a record with `payloadByteCount` bytes, which `write` fills in, and says where it is; nothing if there is no room.
    @inline(__always)
    mutating func append(
        _ kind: LogRecord.Kind,
        slot: Int,
        payloadByteCount: Int,
        _ write: (UnsafeMutableRawPointer) -> Void
    ) -> UInt64? {
        guard let payload = begin(payloadByteCount) else { return nil }
        write(payload)
        return finish(kind, slot: slot, payload, payloadByteCount)
    }

    /// Where the payload of the next record is to be written, before it is finished; nothing if there is no room.
    @inline(__always)
    mutating func begin(_ payloadByteCount: Int) -> UnsafeMutableRawPointer? {
        if openByteCount > 0 { closeRecord() }
        let size = Self.rounded(Self.headerByteCount + payloadByteCount)
        guard let start = place(size) else { return nil }
        // What fills up the last eight bytes is part of the checksum.
        (start + size - 8).storeBytes(of: 0, as: UInt64.self)
        return start + Self.headerByteCount
    }

    /// Adds the record whose payload was written, and says where it is.
    @inline(__always)
    mutating func finish(
        _ kind: LogRecord.Kind,
        slot: Int,
        _ payload: UnsafeMutableRawPointer,
        _ payloadByteCount: Int
    ) -> UInt64 {
        precondition(slot < Self.mostSlots, "the slot is beyond what a record can say")
        let (position, start) = (end, payload - Self.headerByteCount)
        let byteCount = Self.headerByteCount + payloadByteCount
        let size = Self.rounded(byteCount)
        let word = UInt64(byteCount) | UInt64(kind.rawValue) << 32 | UInt64(slot) << 40
        (start + 8).storeBytes(of: word, as: UInt64.self)
        let checksum = LogChecksum.of(UnsafeRawBufferPointer(start: start + 8, count: size - 8), at: position)
        start.storeBytes(of: checksum, as: UInt64.self)
        lastOffset = endOffset
        end += UInt64(size)
        endOffset = wrapped(endOffset + size)
        return position
    }

    /// Adds a part to a record that is there for any number of them, of ``LogRecord/Kind/replies``, and says where it is to be written, before anything else
    /// is added; nothing if there is no room.
    ///
    /// Parts begin at multiples of eight bytes. The record ends before the next one, or with the commit.
    @inline(__always)
    mutating func appendPart(byteCount: Int) -> UnsafeMutableRawPointer? {
        let size = Self.rounded(byteCount)
        if openByteCount > 0, endOffset + openByteCount + size > capacity || size >= freeByteCount { closeRecord() }
        if openByteCount == 0 {
            guard place(Self.headerByteCount + size) != nil else { return nil }
            openByteCount = Self.headerByteCount
        }
        let start = base + endOffset + openByteCount
        (start + size - 8).storeBytes(of: 0, as: UInt64.self)
        openByteCount += size
        return start
    }

    /// Where a record of `size` bytes is to be, which is at the end then, perhaps behind what had to be skipped; nothing if there is no room.
    @inline(__always)
    private mutating func place(_ size: Int) -> UnsafeMutableRawPointer? {
        let rest = capacity - endOffset
        let skipped = size <= rest ? 0 : rest
        guard size + skipped < freeByteCount else { return nil }
        if skipped > 0 {
            if skipped >= Self.headerByteCount {
                let word = UInt64(Self.headerByteCount) | UInt64(LogRecord.Kind.skip.rawValue) << 32
                (base + endOffset + 8).storeBytes(of: word, as: UInt64.self)
            }
            end += UInt64(skipped)
            endOffset = 0
        }
        return base + endOffset
    }

    private mutating func closeRecord() {
        let payloadByteCount = openByteCount - Self.headerByteCount
        openByteCount = 0
        _ = finish(.replies, slot: 0, base + endOffset + Self.headerByteCount, payloadByteCount)
    }

    /// Marks the last record that was written as the last of a commit, and says up to where the records are then.
    ///
    /// A reader finds either all of them or none.
    mutating func commit() -> UInt64 {
        if openByteCount > 0 { closeRecord() }
        if let lastOffset {
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
        let memory = UnsafeRawBufferPointer(start: base, count: capacity)
        let found = Self.header(at: head, offset: headOffset, in: memory)
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
