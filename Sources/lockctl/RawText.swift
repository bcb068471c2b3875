import LockdModel

/// Text that may hold any bytes, as arguments and paths can, in a string that everything can be done with that is done with text.
///
/// Bytes that are no UTF-8 stand as the scalars U+10FF00 to U+10FFFF, and so do the bytes of those scalars themselves, which nobody uses. So every array of bytes has
/// its own string, and texts are themselves. (The idea is that of Python's `surrogateescape`, PEP 383.)
enum RawText {
    private static let base: UInt32 = 0x10FF00

    /// The string that stands for the bytes.
    static func string(of bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            var iterator = rest.makeIterator()
            var decoder = UTF8()
            if case .scalarValue(let scalar) = decoder.decode(&iterator), scalar.value < base {
                text.append(scalar)
                rest = rest.dropFirst(UTF8.width(scalar))
            } else if let byte = rest.popFirst(), let scalar = Unicode.Scalar(base + UInt32(byte)) {
                text.append(scalar)
            }
        }
        return String(text)
    }

    /// The bytes that `text` stands for.
    static func bytes(of text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            if scalar.value >= base {
                bytes.append(UInt8(scalar.value - base))
            } else {
                bytes += Array(String(scalar).utf8)
            }
        }
        return bytes
    }

    /// What the program was called with, its own name first; empty where the system does not tell.
    static var arguments: [String] {
        CommandLine.unsafeArgv.withMemoryRebound(to: UnsafeMutablePointer<CChar>?.self, capacity: 1) { words in
            (0..<Int(CommandLine.argc)).compactMap { index in
                words[index].map { word in
                    var count = 0
                    while word[count] != 0 { count += 1 }
                    return string(of: UnsafeBufferPointer(start: word, count: count).map { UInt8(bitPattern: $0) })
                }
            }
        }
    }

    /// Calls `body` with the bytes of `text` as C has them; they are `body`'s to read only.
    static func withBytes<Result>(of text: String, _ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
        try (bytes(of: text) + [0]).map { CChar(bitPattern: $0) }.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return try body("") }
            return try body(start)
        }
    }
}

extension [String] {
    /// Calls `body` with the words as C has a list of arguments, with NULL behind the last.
    func withArguments<Result>(_ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) throws -> Result) rethrows
        -> Result
    {
        var copies = map { word in
            RawText.bytes(of: word) + [0]
        }.map { word in
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: word.count)
            for (index, byte) in word.enumerated() { copy[index] = CChar(bitPattern: byte) }
            return Optional(copy)
        }
        defer { copies.forEach { $0?.deallocate() } }
        copies.append(nil)
        return try copies.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { preconditionFailure("a list that has its NULL is not empty") }
            return try body(start)
        }
    }
}

extension Text {
    /// What was given as an argument, its bytes as they are, as many as a note may have; nothing if there are none.
    init?(argument: String) {
        guard let text = try? Text(bytes: RawText.bytes(of: argument).prefix(Text.longLimit), limit: Text.longLimit)
        else {
            return nil
        }
        self = text
    }
}
