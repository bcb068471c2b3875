import CLinux
import Glibc

/// What is known of a terminal.
enum Terminal {
    /// How many columns it has; `nil` if the descriptor is none, or does not say.
    static func columns(of descriptor: CInt) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Whether a line can be replaced by another one: on a terminal that is not dumb.
    static func canRewrite(_ descriptor: CInt) -> Bool {
        isatty(descriptor) == 1 && getenv("TERM").map { String(cString: $0) } != "dumb"
    }

    /// The beginning of `line` that fits, so that it is one line on the screen.
    static func cut(_ line: String, columns: Int) -> String {
        // Nearly all lines have a byte for each column, and to find their characters takes longer than all else that is done with them.
        if line.utf8.allSatisfy({ $0 >= 0x20 && $0 <= 0x7E }) {
            return line.utf8.count < columns ? line : String(Substring(line.utf8.prefix(max(0, columns - 2)))) + "…"
        }
        // In the last column the cursor would go to the next line.
        if width(of: line) < columns { return line }
        var kept = ""
        var left = columns - 2
        for character in line {
            left -= width(of: character)
            if left < 0 { break }
            kept.append(character)
        }
        return kept + "…"
    }

    /// How many columns a line takes.
    static func width(of line: String) -> Int { line.reduce(0) { $0 + width(of: $1) } }

    /// As the C library knows it of the character's first scalar.
    private static func width(of character: Character) -> Int {
        if character.isASCII { return 1 }
        let columns = character.unicodeScalars.first.map { clinux_columns($0.value) } ?? 0
        // What it does not know may take any.
        return columns < 0 ? 2 : Int(columns)
    }
}
