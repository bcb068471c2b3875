package import LockdModel

#if canImport(Darwin)
    import func Darwin.memchr
#elseif canImport(Musl)
    import func Musl.memchr
#else
    import func Glibc.memchr
#endif

/// What can be wrong with a line before any of its words is looked at.
enum LineFlaw: Error, Hashable {
    case controlCharacter(UInt8)
    case spacing
}

/// The words of a line, one after the other.
///
/// Where two spaces stand together, or one at the beginning or end, there is an empty word.
struct Words {
    private var rest: UnsafeRawBufferPointer?

    init(_ line: UnsafeRawBufferPointer) { rest = line }

    /// Takes the next word; `nil` behind the last.
    mutating func next() -> UnsafeRawBufferPointer? {
        guard let line = rest else { return nil }
        guard let space = line.offset(of: UInt8(ascii: " ")) else {
            rest = nil
            return line
        }
        rest = line.from(space + 1)
        return line.upTo(space)
    }

    /// The first word of `line`.
    static func first(of line: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        line.upTo(line.offset(of: UInt8(ascii: " ")) ?? line.count)
    }

    /// Refuses a line with a control character anywhere, then one whose words are not separated by exactly one space.
    static func check(_ line: UnsafeRawBufferPointer) throws(LineFlaw) {
        // The edges of a line count as spaces, so that a space there is one of two.
        var previous = UInt8(ascii: " ")
        var isWellSpaced = true
        for byte in line {
            if byte < 0x20 || byte == 0x7F { throw .controlCharacter(byte) }
            if byte == UInt8(ascii: " "), previous == UInt8(ascii: " ") { isWellSpaced = false }
            previous = byte
        }
        if !isWellSpaced || previous == UInt8(ascii: " ") { throw .spacing }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these are the bytes of `spelling`.
    @inline(__always)
    func isSpelled(_ spelling: StaticString) -> Bool {
        guard count == spelling.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != spelling.utf8Start[index] { return false }
        return true
    }

    /// Whether these are the bytes of a field, `key` and an equals sign and a value.
    @inline(__always)
    func isField(_ key: StaticString) -> Bool {
        let length = key.utf8CodeUnitCount
        return count > length && self[length] == UInt8(ascii: "=") && upTo(length).isSpelled(key)
    }

    /// Whether these are the bytes of `capitals`, which are ASCII capitals, or of their small letters.
    @inline(__always)
    func isSpelledInEitherCase(_ capitals: StaticString) -> Bool {
        guard count == capitals.utf8CodeUnitCount else { return false }
        // Without bit 5 a small letter is its capital, and nothing but a letter becomes one.
        for index in 0..<count where self[index] & 0xDF != capitals.utf8Start[index] { return false }
        return true
    }

    /// Where `byte` stands first at or behind `start`.
    func offset(of byte: UInt8, from start: Int = 0) -> Int? {
        guard let base = baseAddress, let found = memchr(base + start, Int32(byte), count - start) else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// The bytes before `offset`.
    @inline(__always)
    func upTo(_ offset: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[..<offset]) }

    /// The bytes at and behind `offset`.
    @inline(__always)
    func from(_ offset: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[offset...]) }
}

extension UInt64 {
    /// The number with these 1 to 20 decimal digits, unless it is too large.
    init?(decimal digits: UnsafeRawBufferPointer) {
        guard (1...20).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for byte in digits {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (tens, tensOverflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(UInt64(digit))
            if tensOverflow || sumOverflow { return nil }
            value = sum
        }
        self = value
    }
}

extension Milliseconds {
    /// The duration spelled so: 1 to 15 digits and a unit.
    ///
    /// It may be longer than what a request may ask for, but not than 15 digits of milliseconds, so that whatever can
    /// be read can be written.
    package init?(spelling: UnsafeRawBufferPointer) {
        var number: Int64 = 0
        var digitCount = 0
        while digitCount < spelling.count {
            let digit = spelling[digitCount] &- UInt8(ascii: "0")
            if digit > 9 { break }
            // This wraps around only where there are too many digits anyhow.
            number = number &* 10 &+ Int64(digit)
            digitCount += 1
        }
        guard (1...15).contains(digitCount), let unit = Self.unit(spelling.from(digitCount)) else { return nil }
        let (count, overflow) = number.multipliedReportingOverflow(by: unit)
        if overflow || count > 999_999_999_999_999 { return nil }
        self.init(count)
    }

    private static func unit(_ spelling: UnsafeRawBufferPointer) -> Int64? {
        if spelling.isSpelled("s") { return 1000 }
        if spelling.isSpelled("ms") { return 1 }
        if spelling.isSpelled("m") { return 60_000 }
        if spelling.isSpelled("h") { return 3_600_000 }
        return spelling.isSpelled("d") ? 86_400_000 : nil
    }
}

extension Cursor {
    /// The cursor spelled so: two numbers with a dot between them.
    init?(spelling: UnsafeRawBufferPointer) {
        guard let dot = spelling.offset(of: UInt8(ascii: ".")),
            let lock = UInt64(decimal: spelling.upTo(dot)),
            let line = UInt64(decimal: spelling.from(dot + 1))
        else { return nil }
        self.init(lock: lock, line: line)
    }
}

extension Tag {
    /// The tag that is written as this word, `#` included.
    init?(word: UnsafeRawBufferPointer) {
        guard word.first == UInt8(ascii: "#") else { return nil }
        self.init(parsing: word.from(1))
    }
}

extension Text? {
    /// How errors repeat what was sent: its first 64 bytes, `nil` if there are none.
    static func cut(_ bytes: UnsafeRawBufferPointer) -> Text? {
        // Neither problem of a text can occur: `prefix` keeps to the limit, and of no bytes there is no text to show.
        try? Text(bytes: bytes.prefix(Text.shortLimit), limit: Text.shortLimit)
    }
}
