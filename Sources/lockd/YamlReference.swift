/// Anchors and aliases of YAML, `&name` and `*name`: no setting needs them, and a few of them can stand for more than can be read in a lifetime.
enum YamlReference {
    /// The first line that may have one; found without YAML being read, which would follow it.
    ///
    /// It takes a few for such that are none, in quotes for instance. The other way round nothing is hidden: where it is not certain that something is a comment,
    /// because quotes may be open there, it is looked at.
    static func firstLine(in text: String) -> Int? {
        var number = 0
        var isQuoteOpen = false
        for line in text.utf8.split(omittingEmptySubsequences: false, whereSeparator: isBreak) {
            number += 1
            let content = isQuoteOpen ? line : withoutComment(line)
            if hasReference(content) { return number }
            for quote in [UInt8(ascii: "\""), UInt8(ascii: "'")]
            where !content.count(where: { $0 == quote }).isMultiple(of: 2) {
                isQuoteOpen = true
            }
        }
        return nil
    }

    private static func isBreak(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") }

    /// The line up to a number sign that begins a comment, which it does at the beginning and behind a blank.
    private static func withoutComment(_ line: Substring.UTF8View) -> Substring.UTF8View {
        var previous: UInt8?
        for index in line.indices {
            let byte = line[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return line }
            let isFirst = previous.map { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") } ?? true
            if byte == UInt8(ascii: "#"), isFirst { return line[..<index] }
            previous = byte
        }
        return line
    }

    private static func hasReference(_ line: Substring.UTF8View) -> Bool {
        var (beforeLast, last): (UInt8?, UInt8?)
        for byte in line {
            let isSign = last == UInt8(ascii: "&") || last == UInt8(ascii: "*")
            if isSign, isOfWord(byte), !(beforeLast.map(isOfWord) ?? false) { return true }
            (beforeLast, last) = (last, byte)
        }
        return false
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
