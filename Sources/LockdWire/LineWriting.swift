import LockdModel

/// How lines are put together: every value is appended byte by byte, without a string in between.
extension [UInt8] {
    mutating func write(_ literal: StaticString) {
        literal.withUTF8Buffer { append(contentsOf: $0) }
    }

    mutating func write(_ spelling: String) { append(contentsOf: spelling.utf8) }
    mutating func write(_ name: LockName) { write(name.spelling) }
    mutating func write(_ text: Text) { write(text.spelling) }

    mutating func write(_ tag: Tag) {
        append(UInt8(ascii: "#"))
        write(tag.spelling)
    }

    mutating func write(_ cursor: Cursor) {
        write(cursor.lock)
        append(UInt8(ascii: "."))
        write(cursor.line)
    }

    mutating func write(_ number: UInt64) {
        var digitCount = 1
        var rest = number
        while rest >= 10 {
            rest /= 10
            digitCount += 1
        }
        append(contentsOf: repeatElement(UInt8(ascii: "0"), count: digitCount))
        var index = count - 1
        rest = number
        while rest > 0 {
            self[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
            index -= 1
        }
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
