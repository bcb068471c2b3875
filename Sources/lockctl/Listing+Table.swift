import LockdModel
import LockdWire

/// Listings for people.
extension Listing {
    static let header = [
        "NAME", "STATE", "PID", "COMMAND", "USER", "UNIT", "FOR", "LEFT", "WAITERS", "NAMES", "BOUND", "TOKEN", "NOTE",
    ]

    /// Which columns are shown only if anything is said in them.
    static let optional: Set = ["UNIT", "LEFT", "NAMES", "BOUND"]

    /// Which columns are left out where there is no room for all, the first of them first.
    static let expendable = ["TOKEN", "BOUND", "NAMES", "UNIT", "USER", "WAITERS", "LEFT", "COMMAND", "FOR", "PID"]

    /// A table for people, with all columns, of no lines so far.
    static var emptyTable: Table { Table(header: header, emphasis: ["STATE": emphasis]) }

    /// Appends a line to a table that was an ``emptyTable``.
    static func append(_ line: Reply.ListingLine, to table: inout Table) {
        table.appendRow { words in
            switch line {
            case .lease(let lease): add(lease, to: &words)
            case .waiter(let waiter): add(waiter, to: &words)
            }
        }
    }

    private static func add(_ lease: Reply.LeaseLine, to words: inout Table) {
        words.add(lease.name.display)
        words.add("held" + Self.words(lease.holderLimit) + Self.words(detached: lease.detached))
        add(lease.peer, to: &words)
        words.add { $0.write(lease.held) }
        add(left: lease.left, to: &words)
        words.add { $0.write(UInt64(lease.waiterCount)) }
        words.add(Self.words(nameCount: lease.nameCount))
        words.add(lease.binding.map { $0 == .pipe ? "pipe" : "process" } ?? "")
        words.add { $0.write(lease.token.value) }
        words.add(lease.note?.display ?? "")
    }

    private static func add(_ waiter: Reply.WaiterLine, to words: inout Table) {
        words.add(waiter.name.display)
        words.add("waits #\(waiter.position)" + Self.words(waiter.holderLimit) + Self.words(detached: waiter.detached))
        add(waiter.peer, to: &words)
        words.add { $0.write(waiter.waited) }
        add(left: waiter.left, to: &words)
        words.add("")
        words.add(Self.words(nameCount: waiter.nameCount))
        words.add("")
        words.add("")
        words.add(waiter.note?.display ?? "")
    }

    private static func add(left: Milliseconds?, to words: inout Table) {
        words.add { bytes in
            if let left { bytes.write(left) }
        }
    }

    /// Adds its pid, command, user and unit.
    static func add(_ peer: Reply.Peer, to words: inout Table) {
        if let process = peer.process { words.add { $0.write(Int64(process.value)) } } else { words.add("?") }
        words.add(peer.command?.display ?? "?")
        words.add(peer.user.map(Users.name) ?? "?")
        words.add(peer.unit?.display ?? "")
    }

    /// What the words of a state are.
    private static func emphasis(state: String) -> Emphasis? {
        // The search costs more than all other columns, and few states have a comma.
        if state.utf8.contains(UInt8(ascii: ",")), state.contains(", detached ") { return .wrong }
        return state.hasPrefix("held") ? .good : .warning
    }

    /// What is said of a lease behind its state, if it is not exclusive.
    static func words(_ limit: HolderLimit) -> String {
        switch limit {
        case .exclusive: ""
        case .shared: ", shared"
        default: ", limit \(limit.count)"
        }
    }

    /// What is said of a lease, if it is bound, behind what else is.
    static func words(_ binding: Binding?) -> String {
        switch binding {
        case .pidfd: ", bound to a process"
        case .pipe: ", bound to a pipe"
        case nil: ""
        }
    }

    /// What is said of a session that has no connection, as after a restart of the daemon until it is back.
    static func words(detached: Milliseconds?) -> String { detached.map { ", detached for \($0.display)" } ?? "" }

    private static func words(nameCount: Int) -> String { nameCount > 1 ? "\(nameCount)" : "" }
}
