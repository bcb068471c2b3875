import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// What a shell completes an argument with.
enum Completing {
    /// The names of locks that are held or waited for at present.
    static var lockNames: CompletionKind {
        .custom { words, _, beginning in names(beginning: beginning, in: words) }
    }

    /// How many a shell is given at most: a page of the daemon's listing.
    private static let limit = ProtocolLimits.pageLineCount

    /// How long somebody who completes a word waits for a daemon that does not answer.
    private static let patience = Milliseconds(500)

    /// Names that begin so, of the daemon that the words before say; none if it cannot be asked.
    ///
    /// Only those that a shell takes as they are: others would have to be quoted, each shell in its own way.
    private static func names(beginning: String, in words: [String]) -> [String] {
        var daemon = DaemonOptions()
        daemon.user = words.contains("--user")
        let joined = words.last { $0.hasPrefix("--socket=") }?.dropFirst("--socket=".count)
        daemon.socket =
            joined.map(String.init) ?? words.firstIndex(of: "--socket").flatMap { words.dropFirst($0 + 1).first }
        let page = Request.Page(lineLimit: limit)
        guard let connection = try? daemon.connect(patience: Self.patience).connection else { return [] }
        connection.send(.list(prefix: try? LockName(beginning), page))
        var names: [String] = []
        while let reply = try? connection.receive() {
            switch reply {
            case .lease(let lease): names.append(lease.name.display)
            case .waiter(let waiter): names.append(waiter.name.display)
            default: return Set(names.filter(isPlain)).sorted()
            }
        }
        return []
    }

    private static func isPlain(_ name: String) -> Bool {
        name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+@,".contains($0)) } && !name.hasPrefix("-")
    }
}
