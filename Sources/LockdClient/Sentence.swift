import LockdModel
import LockdWire

/// How errors speak to people.
enum Sentence {
    /// Who holds a lock, for how long by now, and how many wait: `is held by pid 4121 (deploy, ci.service) for 12 s; 3 requests wait for it`.
    static func holding(_ holder: Reply.Holder?, waiterCount: Int) -> String {
        var sentence = "is not free"
        if let holder {
            sentence = "is held"
            if let process = holder.peer.process { sentence += " by pid \(process)" }
            let details = [holder.peer.command, holder.peer.unit].compactMap { $0.map(quotable) }
            if !details.isEmpty { sentence += " (\(details.joined(separator: ", ")))" }
            sentence += " for \(roughly(holder.held))"
            if let note = holder.note { sentence += ", which says: \(quotable(note))" }
        }
        switch waiterCount {
        case 0: return sentence
        case 1: return sentence + "; 1 request waits for it"
        default: return sentence + "; \(waiterCount) requests wait for it"
        }
    }

    /// The names of locks, for a sentence about them: `"a"`, `"a" and "b"`, `"a", "b" and "c"`.
    static func list(_ names: [String]) -> String {
        let quoted = names.map { "\"\(quotable($0))\"" }
        guard quoted.count > 1, let last = quoted.last else { return quoted.joined() }
        return quoted.dropLast().joined(separator: ", ") + " and " + last
    }

    /// A length of time with two digits or so.
    static func roughly(_ duration: Milliseconds) -> String {
        let seconds = duration.count / 1000
        return switch seconds {
        case 0: "\(duration.count) ms"
        case 1..<120: "\(seconds) s"
        case 120..<7200: "\(seconds / 60) min"
        case 7200..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86_400) d"
        }
    }

    /// A stranger's text without the characters that do something to a terminal.
    static func quotable(_ text: Text) -> String { quotable(String(decoding: text.bytes, as: UTF8.self)) }

    /// A stranger's text without the characters that do something to a terminal or begin a new line in a log.
    static func quotable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory.isHarmless ? $0 : "\u{FFFD}" }
            )
        )
    }
}

extension Unicode.GeneralCategory {
    fileprivate var isHarmless: Bool {
        switch self {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: true
        }
    }
}
