import LockdModel

/// How lines are put together: every value is appended byte by byte, without a string in between.
extension [UInt8] {
    mutating func write(_ literal: StaticString) {
        literal.withUTF8Buffer { append(contentsOf: $0) }
    }

    mutating func write(_ spelling: String) {
        var spelling = spelling
        spelling.withUTF8 { append(contentsOf: $0) }
    }

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
        let longest = 20
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: longest) { digits in
            var first = longest
            var rest = number
            repeat {
                first -= 1
                digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            append(contentsOf: digits[first...])
        }
    }

    /// Writes `byte` as itself if it is printable ASCII, and as an escape otherwise.
    mutating func write(printable byte: UInt8) {
        if byte == UInt8(ascii: "%") || !(0x20...0x7E).contains(byte) {
            let digits = Array("0123456789ABCDEF".utf8)
            append(contentsOf: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
        } else {
            append(byte)
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

/// Fields: ` key=value`, nothing at all for a value that is not there.
extension [UInt8] {
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

    mutating func writeField(_ key: StaticString, _ text: Text?) {
        guard let text else { return }
        write(key)
        write(text)
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
