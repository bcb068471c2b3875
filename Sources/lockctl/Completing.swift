import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// What a shell completes an argument with.
enum Completing {
    /// The names of locks that are held or waited for at present.
    static var lockNames: CompletionKind {
        .custom { words, _, beginning in
            plain(lines(beginning: try? LockName(beginning), in: words).map(\.name.display))
        }
    }

    /// The systemd units whose processes hold or wait for something at present.
    static var units: CompletionKind {
        .custom { words, _, _ in plain(lines(beginning: nil, in: words).compactMap(\.peer.unit?.display)) }
    }

    /// The users that there are.
    static var users: CompletionKind { .custom { _, _, _ in plain(Users.all) } }

    /// The columns of a listing, one more of them behind those that are there already.
    static var columns: CompletionKind {
        .custom { _, _, beginning in
            let chosen = beginning.split(separator: ",", omittingEmptySubsequences: false).dropLast().map(String.init)
            let others = Listing.header.map { $0.lowercased() }.filter { !chosen.contains($0) }
            return others.map { (chosen + [$0]).joined(separator: ",") }
        }
    }

    /// How many lines a shell has to wait for at most: a page of the daemon's listing.
    private static let limit = ProtocolLimits.pageLineCount

    /// How long somebody who completes a word waits for a daemon that does not answer.
    private static let patience = Milliseconds(500)

    /// The first leases and waits of locks whose names begin so, of the daemon that the words before say; none if it cannot be asked.
    private static func lines(beginning prefix: LockName?, in words: [String]) -> [Reply.ListingLine] {
        var daemon = DaemonOptions()
        daemon.user = words.contains("--user")
        let joined = words.last { $0.hasPrefix("--socket=") }?.dropFirst("--socket=".count)
        daemon.socket =
            joined.map(String.init) ?? words.firstIndex(of: "--socket").flatMap { words.dropFirst($0 + 1).first }
        let page = Request.Page(lineLimit: limit)
        guard let connection = try? daemon.connect(patience: Self.patience).connection else { return [] }
        connection.send(.list(prefix: prefix, page))
        var lines: [Reply.ListingLine] = []
        while let reply = try? connection.receive() {
            switch reply {
            case .lease(let lease): lines.append(.lease(lease))
            case .waiter(let waiter): lines.append(.waiter(waiter))
            default: return lines
            }
        }
        return []
    }

    /// Those that a shell takes as they are: others would have to be quoted, each shell in its own way.
    private static func plain(_ words: [String]) -> [String] { Set(words.filter(isPlain)).sorted() }

    private static func isPlain(_ name: String) -> Bool {
        name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+@,".contains($0)) } && !name.hasPrefix("-")
    }
}
