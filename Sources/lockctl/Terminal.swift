import Glibc

/// What is known of a terminal.
enum Terminal {
    /// How many columns it has; `nil` if the descriptor is none, or does not say.
    static func columns(of descriptor: CInt) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// The beginning of `line` that fits, so that it is one line on the screen.
    ///
    /// What is not ASCII may be as wide as two columns.
    static func cut(_ line: String, columns: Int) -> String {
        // Nearly all lines have a byte for each column, and to find their characters takes longer than all else that is done with them.
        if line.utf8.allSatisfy({ $0 >= 0x20 && $0 <= 0x7E }) {
            return line.utf8.count < columns ? line : String(Substring(line.utf8.prefix(max(0, columns - 2)))) + "…"
        }
        func width(_ text: some Sequence<Character>) -> Int { text.reduce(0) { $0 + ($1.isASCII ? 1 : 2) } }
        // In the last column the cursor would go to the next line.
        if width(line) < columns { return line }
        var kept = ""
        var left = columns - 2
        for character in line {
            left -= width(CollectionOfOne(character))
            if left < 0 { break }
            kept.append(character)
        }
        return kept + "…"
    }
}
