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

    mutating func write(_ spelling: String) {
        let written: Void? = spelling.utf8.withContiguousStorageIfAvailable { write(bytes: UnsafeRawBufferPointer($0)) }
        precondition(written != nil, "a string that was not made by Swift")
    }

    mutating func write(_ name: LockName) { write(name.spelling) }
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

    mutating func write(_ text: Text) { write(text.spelling) }

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
        // From behind, as far to the right as the longest number would end, and then to where it belongs: faster than counting the digits.
        let mostDigits = 20
        precondition(end - next >= mostDigits, "a line is longer than any line can be")
        let behind = next + mostDigits
        var place = behind
        var rest = number
        while rest >= 10_000 {
            let four = rest % 10_000
            place -= 4
            place.copyMemory(from: Self.twoDigits(four / 100), byteCount: 2)
            (place + 2).copyMemory(from: Self.twoDigits(four % 100), byteCount: 2)
            rest /= 10_000
        }
        while rest >= 100 {
            place -= 2
            place.copyMemory(from: Self.twoDigits(rest % 100), byteCount: 2)
            rest /= 100
        }
        if rest >= 10 {
            place -= 2
            place.copyMemory(from: Self.twoDigits(rest), byteCount: 2)
        } else {
            place -= 1
            place.storeBytes(of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        }
        next.copyMemory(from: place, byteCount: behind - place)
        next += behind - place
    }

    /// The digits of a number below 100, two of them.
    private static func twoDigits(_ number: UInt64) -> UnsafePointer<UInt8> {
        let all: StaticString = """
            00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354\
            555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
            """
        return all.utf8Start + Int(number) * 2
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
        write(binding.rawValue)
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
