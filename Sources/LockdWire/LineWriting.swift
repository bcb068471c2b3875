import LockdModel

/// Puts a line together in memory that was set aside for all of it, without a string or an array in between.
struct LineWriter {
    /// Room for a line with a tag, a few numbers, and `count` bytes of names and texts.
    static func capacity(for count: Int) -> Int { count + 160 }

    /// Room for the line with the most fields, LEASE, and `count` bytes of names and texts.
    static func longestCapacity(for count: Int) -> Int { count + 480 }

    private var next: UnsafeMutableRawPointer
    private let end: UnsafeMutableRawPointer

    /// Appends to `bytes` what `body` writes, at most `capacity` bytes, and an LF.
    @inline(__always)
    static func appendLine(to bytes: inout [UInt8], capacity: Int, _ body: (inout LineWriter) -> Void) {
        bytes.append(addingCapacity: capacity) { output in
            output.withUnsafeMutableBufferPointer { memory, count in
                let free = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(memory)[count...])
                guard let start = free.baseAddress else { return }
                var writer = LineWriter(next: start, end: start + free.count)
                body(&writer)
                writer.write(byte: UInt8(ascii: "\n"))
                count += writer.next - start
            }
        }
    }

    @inline(__always)
    mutating func write(byte: UInt8) {
        precondition(next < end, "a line is longer than any line can be")
        next.storeBytes(of: byte, as: UInt8.self)
        next += 1
    }

    @inline(__always)
    mutating func write(bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        precondition(end - next >= bytes.count, "a line is longer than any line can be")
        next.copyMemory(from: source, byteCount: bytes.count)
        next += bytes.count
    }

    @inline(__always)
    mutating func write(_ literal: StaticString) {
        write(bytes: UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    // With a label, because a literal would be taken for a string otherwise.
    mutating func write(spelling: String) {
        let written: Void? = spelling.utf8.withContiguousStorageIfAvailable { write(bytes: UnsafeRawBufferPointer($0)) }
        precondition(written != nil, "a string that was not made by Swift")
    }

    mutating func write(_ name: LockName) { write(spelling: name.spelling) }
    mutating func write(_ names: LockNames) {
        write(names.first)
        for name in names.others {
            write(" ")
            write(name)
        }
    }

    /// Writes ` NAME`, or nothing.
    mutating func write(prefix: LockName?) {
        guard let prefix else { return }
        write(" ")
        write(prefix)
    }

    mutating func write(_ text: Text) { write(spelling: text.spelling) }

    mutating func write(_ tag: Tag) {
        write(byte: UInt8(ascii: "#"))
        precondition(end - next >= Tag.maximumByteCount, "a line is longer than any line can be")
        next += tag.copyCharacters(to: next)
    }

    mutating func write(_ cursor: Cursor) {
        write(cursor.lock)
        write(byte: UInt8(ascii: "."))
        write(cursor.line)
    }

    mutating func write(_ number: UInt64) {
        precondition(end - next >= 3 * 8, "a line is longer than any line can be")
        let (head, lastEight) = number.quotientAndRemainder(dividingBy: 100_000_000)
        if head == 0 { return writeLeading(lastEight) }
        if head < 100_000_000 {
            writeLeading(head)
        } else {
            let (first, nextEight) = head.quotientAndRemainder(dividingBy: 100_000_000)
            writeLeading(first)
            writeEightDigits(nextEight)
        }
        writeEightDigits(lastEight)
    }

    /// Writes a number below 10^8 without leading zeros; there must be room for eight digits.
    @inline(__always)
    private mutating func writeLeading(_ number: UInt64) {
        let digits = Self.eightDigits(number)
        // Of 0, the last zero is left.
        let zeroCount = min(digits.trailingZeroBitCount / 8, 7)
        store((digits | Self.zeros) >> UInt64(8 * zeroCount), 8 - zeroCount)
    }

    /// Writes the last eight digits of a number, leading zeros and all; there must be room for them.
    @inline(__always)
    private mutating func writeEightDigits(_ number: UInt64) { store(Self.eightDigits(number) | Self.zeros, 8) }

    @inline(__always)
    private mutating func store(_ bytes: UInt64, _ count: Int) {
        next.storeBytes(of: bytes.littleEndian, as: UInt64.self)
        next += count
    }

    /// Eight times the digit 0.
    private static var zeros: UInt64 { 0x3030_3030_3030_3030 }

    /// The digits of a number below 10^8 as the values of eight bytes, the first one in the lowest.
    ///
    /// All of them at once: the number is cut into two of four digits, these into two of two each, and so on. To multiply by the fractions and shift is to
    /// divide by 100, and by 10, exactly for numbers that are so small.
    @inline(__always)
    private static func eightDigits(_ number: UInt64) -> UInt64 {
        let fours = number / 10_000 | (number % 10_000) << 32
        let hundreds = (fours &* 5243) >> 19 & 0x0000_007F_0000_007F
        let twos = hundreds | (fours &- hundreds &* 100) << 16
        let tens = (twos &* 103) >> 10 & 0x000F_000F_000F_000F
        return tens | (twos &- tens &* 10) << 8
    }

    /// Writes a duration that somebody asked for, in the largest unit that says it exactly.
    mutating func write(given duration: Milliseconds) {
        let (count, unit) = duration.inLargestExactUnit
        write(UInt64(count))
        write(unit)
    }

    /// Writes a duration that was measured, in milliseconds.
    mutating func write(measured duration: Milliseconds) {
        write(UInt64(duration.count))
        write("ms")
    }
}

extension LockNames {
    /// How many bytes the names have, as they are written, spaces included.
    var spellingByteCount: Int { others.reduce(first.spelling.utf8.count) { $0 + 1 + $1.spelling.utf8.count } }
}

extension [UInt8] {
    /// Appends `byte` as itself if it is printable ASCII, and as an escape otherwise.
    mutating func write(printable byte: UInt8) {
        if byte == UInt8(ascii: "%") || !(0x20...0x7E).contains(byte) {
            let digits = Array("0123456789ABCDEF".utf8)
            append(contentsOf: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        } else {
            append(byte)
        }
    }
}

/// Fields: ` key=value`, nothing at all for a value that is not there.
extension LineWriter {
    mutating func writeField(_ key: StaticString, _ number: UInt64?) {
        guard let number else { return }
        write(key)
        write(number)
    }

    mutating func writeField(_ key: StaticString, _ user: UserID?) {
        writeField(key, user.map { UInt64($0.value) })
    }

    mutating func writeField(_ key: StaticString, _ process: ProcessID?) {
        writeField(key, process.map { UInt64($0.value) })
    }

    /// Writes how many holders a lease tolerates, unless it is exclusive.
    mutating func writeField(_ limit: HolderLimit) {
        if limit == .shared {
            write(" mode=shared")
        } else if limit != .exclusive {
            writeField(" limit=", UInt64(limit.count))
        }
    }

    mutating func writeField(_ key: StaticString, _ name: LockName?) {
        guard let name else { return }
        write(key)
        write(name)
    }

    mutating func writeField(_ key: StaticString, _ text: Text?) {
        guard let text else { return }
        write(key)
        write(text)
    }

    mutating func writeField(_ key: StaticString, _ binding: Binding?) {
        guard let binding else { return }
        write(key)
        write(spelling: binding.rawValue)
    }

    mutating func writeField(_ key: StaticString, given duration: Milliseconds?) {
        guard let duration else { return }
        write(key)
        write(given: duration)
    }

    mutating func writeField(_ key: StaticString, measured duration: Milliseconds?) {
        guard let duration else { return }
        write(key)
        write(measured: duration)
    }
}
