/// A JSON value that is written, never read.
enum JSON {
    case null
    case bool(Bool)
    case signed(Int64)
    case unsigned(UInt64)
    case string(String)
    case array([JSON])
    /// Members in the order in which they are written.
    case object([(String, JSON)])
    /// What has been written as it is to be.
    case written(String)

    /// A whole number, or null.
    @inline(__always)
    static func integer(_ value: (some BinaryInteger)?) -> JSON {
        guard let value else { return .null }
        return value < 0 ? .signed(Int64(value)) : .unsigned(UInt64(value))
    }

    /// A string, or null.
    static func text(_ value: String?) -> JSON {
        value.map { .string($0) } ?? .null
    }

    /// An object with the members that `write` writes.
    static func object(_ write: (inout ByteBuffer) -> Void) -> JSON {
        var bytes = ByteBuffer()
        bytes.writeObject(write)
        return .written(bytes.text(0..<bytes.count))
    }

    /// The value on one line (RFC 8259), ASCII only.
    var line: String {
        var bytes = ByteBuffer()
        bytes.write(self)
        return bytes.text(0..<bytes.count)
    }
}

extension ByteBuffer {
    /// Appends the value, as ``JSON/line`` has it.
    mutating func write(_ value: JSON) {
        switch value {
        case .null: write("null")
        case .bool(let value): write(value ? "true" : "false")
        case .signed(let number): write(number)
        case .unsigned(let number): write(number)
        case .string(let text): write(quoted: text)
        case .array(let elements):
            write("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { write(",") }
                write(element)
            }
            write("]")
        case .object(let members):
            write("{")
            for (index, (name, value)) in members.enumerated() {
                if index > 0 { write(",") }
                write(quoted: name)
                write(":")
                write(value)
            }
            write("}")
        case .written(let text): write(text: text)
        }
    }

    /// Appends an object with the members that `write` writes.
    ///
    /// A listing has objects by the hundred thousand, and to make a value of each first takes longer than to write it.
    mutating func writeObject(_ write: (inout ByteBuffer) -> Void) {
        self.write("{")
        write(&self)
        self.write("}")
    }

    /// Appends a member of an object.
    ///
    /// - Parameter name: has nothing in it that would have to be escaped.
    @inline(__always)
    mutating func write(member name: StaticString, _ value: JSON) {
        if last != UInt8(ascii: "{") { write(",") }
        write("\"")
        write(name)
        write("\":")
        write(value)
    }

    private mutating func write(quoted text: String) {
        write("\"")
        var text = text
        text.withUTF8 { bytes in
            if bytes.allSatisfy({ $0 >= 0x20 && $0 <= 0x7E && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
                write(bytes: UnsafeRawBufferPointer(bytes))
            } else {
                write(escaping: String(decoding: bytes, as: UTF8.self))
            }
        }
        write("\"")
    }

    private mutating func write(escaping text: String) {
        for unit in text.utf16 {
            switch unit {
            case 0x22: write("\\\"")
            case 0x5C: write("\\\\")
            case 0x20...0x7E: write(byte: UInt8(unit))
            default:
                let digits = String(unit, radix: 16)
                write("\\u")
                write(text: String(repeating: "0", count: 4 - digits.count) + digits)
            }
        }
    }
}
