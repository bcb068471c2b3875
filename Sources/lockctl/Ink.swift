import Glibc
@preconcurrency import Rainbow

/// What a word is, as far as it is worth being set off from the others.
enum Emphasis {
    case heading
    /// A lease; or that all is well.
    case good
    /// A wait; or what may go wrong.
    case warning
    /// What has gone wrong, or is not as it should be: a loss, a session without its process.
    case wrong
    /// What is not to be in the way.
    case quiet
}

/// How words are set off on the stream that they are written to: not at all, unless that is a terminal whose user has nothing against it.
///
/// Rainbow knows the codes. Whether they are wanted it would find out for stdout only, and it takes NO_COLOR=0 for a yes, so that is found out here, for each
/// stream. Of Foundation it needs what ArgumentParser needs too, so it costs lockctl as it is released 130 KB and 0.2 ms.
struct Ink {
    let isColoured: Bool

    /// For what is written to `descriptor`.
    ///
    /// `NO_COLOR` that is not empty says no, as no-color.org has it, and so does a terminal that is dumb or does not say what it is.
    init(for descriptor: CInt) {
        let isColoured =
            isatty(descriptor) == 1 && !Self.says("NO_COLOR") && Self.says("TERM") && !Self.says("TERM", "dumb")
        self.init(isColoured: isColoured)
    }

    init(isColoured: Bool) { self.isColoured = isColoured }

    static var output: Ink { Ink(for: STDOUT_FILENO) }

    /// `text`, set off as what it is.
    func callAsFunction(_ text: String, _ emphasis: Emphasis?) -> String {
        guard isColoured, let emphasis else { return text }
        // It is asked for no text that it should leave as it is.
        (Rainbow.enabled, Rainbow.outputTarget) = (true, .console)
        return switch emphasis {
        case .heading: text.bold
        case .good: text.green
        case .warning: text.yellow
        case .wrong: text.red
        case .quiet: text.dim
        }
    }

    /// Whether the variable is set and not empty, or is `value`.
    private static func says(_ variable: String, _ value: String? = nil) -> Bool {
        guard let text = getenv(variable), text[0] != 0 else { return false }
        return value.map { String(cString: text) == $0 } ?? true
    }
}
