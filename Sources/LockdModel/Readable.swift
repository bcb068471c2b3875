/// Bytes of strangers, made fit for people.
public enum Readable {
    /// The bytes as text if all of it can be shown, else escaped where it cannot.
    public static func text(_ bytes: [UInt8]) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { return bytes.map(escape).joined() }
        return text.unicodeScalars.map { isShown($0) ? String($0) : $0.utf8.map(escape).joined() }.joined()
    }

    /// What the parser of a command line says of it, as a sentence of ours, with the words of that line in it made fit.
    ///
    /// A `%` stays: words that a sentence was made of before may have been made fit already. `bytes` are those that a part of it stands for.
    public static func complaint(_ message: String, bytes: (String) -> [UInt8] = { Array($0.utf8) }) -> String {
        (message.prefix(1).lowercased() + message.dropFirst())
            .split(separator: "%", omittingEmptySubsequences: false)
            .map { text(bytes(String($0))) }
            .joined(separator: "%")
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: scalar != "%"
        }
    }

    private static func escape(_ byte: UInt8) -> String {
        if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") { return String(UnicodeScalar(byte)) }
        let digits = String(byte, radix: 16, uppercase: true)
        return "%" + (digits.count == 1 ? "0" : "") + digits
    }
}
