import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// The leases and waits of a listing, in the order of the daemon: each lock's leases, then its waiters.
struct Listing {
    enum Line {
        case lease(Reply.LeaseLine)
        case waiter(Reply.WaiterLine)

        var name: LockName {
            switch self {
            case .lease(let line): line.name
            case .waiter(let line): line.name
            }
        }
    }

    private(set) var lines: [Line] = []

    /// Asks for all pages of what `request` makes of a page.
    init(from connection: BlockingConnection, _ request: (Request.Page) -> Request) throws {
        var page = Request.Page()
        repeat {
            connection.send(request(page))
            page.after = try readPage(connection)
        } while page.after != nil
    }

    /// The lines by the names of their locks.
    mutating func sortByName() {
        // A stable order by name: within a lock the daemon's order is the queue's.
        let sorted = lines.enumerated().sorted { left, right in
            let (leftName, rightName) = (left.element.name.spelling, right.element.name.spelling)
            return leftName == rightName ? left.offset < right.offset : leftName < rightName
        }
        lines = sorted.map(\.element)
    }

    private mutating func readPage(_ connection: BlockingConnection) throws -> Cursor? {
        while true {
            switch try connection.receive() {
            case .lease(let line): lines.append(.lease(line))
            case .waiter(let line): lines.append(.waiter(line))
            case .end(let next): return next
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }
    }

    /// A table for people.
    var table: Table {
        var table = Table(header: [
            "NAME", "STATE", "PID", "COMMAND", "USER", "UNIT", "FOR", "WAITERS", "NAMES", "TOKEN", "NOTE",
        ])
        for line in lines {
            switch line {
            case .lease(let lease):
                table.append(
                    [lease.name.display, "held" + Self.words(lease.holderLimit) + Self.words(lease.binding)]
                        + Self.words(lease.peer) + [
                            lease.held.display, "\(lease.waiterCount)", Self.words(nameCount: lease.nameCount),
                            "\(lease.token)", lease.note?.display ?? "",
                        ]
                )
            case .waiter(let waiter):
                table.append(
                    [waiter.name.display, "waits #\(waiter.position)" + Self.words(waiter.holderLimit)]
                        + Self.words(waiter.peer) + [
                            waiter.waited.display, "", Self.words(nameCount: waiter.nameCount), "",
                            waiter.note?.display ?? "",
                        ]
                )
            }
        }
        return table.without(empty: ["UNIT", "NAMES"])
    }

    /// One object for each line, for programs.
    var json: JSON {
        .array(
            lines.map { line in
                switch line {
                case .lease(let lease): Self.json(lease)
                case .waiter(let waiter): Self.json(waiter)
                }
            }
        )
    }

    /// What is said of a lease behind its state, if it is not exclusive.
    static func words(_ limit: HolderLimit) -> String {
        switch limit {
        case .exclusive: ""
        case .shared: ", shared"
        default: ", limit \(limit.count)"
        }
    }

    private static func json(_ limit: HolderLimit) -> [(String, JSON)] {
        let mode = limit == .exclusive ? "exclusive" : limit == .shared ? "shared" : "limit"
        return [("mode", .string(mode)), ("limit", .integer(limit == .shared ? nil : limit.count))]
    }

    /// What is said of a lease behind its state, if it is bound.
    static func words(_ binding: Binding?) -> String {
        switch binding {
        case .pidfd: ", bound to a process"
        case .pipe: ", bound to a pipe"
        case nil: ""
        }
    }

    private static func words(nameCount: Int) -> String { nameCount > 1 ? "\(nameCount)" : "" }

    /// Its pid, command, user and unit.
    static func words(_ peer: Reply.Peer) -> [String] {
        [
            peer.process.map { "\($0)" } ?? "?", peer.command?.display ?? "?",
            peer.user.map(Users.name) ?? "?", peer.unit?.display ?? "",
        ]
    }

    private static func json(_ lease: Reply.LeaseLine) -> JSON {
        .object(
            [
                ("name", .string(lease.name.display)), ("name_escaped", .string(lease.name.spelling)),
                ("state", .string("held")),
            ]
                + json(lease.holderLimit) + json(lease.peer) + [
                    ("client", .text(lease.client?.display)), ("held_ms", .integer(lease.held.count)),
                    ("waiters", .integer(lease.waiterCount)), ("token", .integer(lease.token.value)),
                    ("ttl_ms", .integer(lease.timeToLive?.count)), ("left_ms", .integer(lease.left?.count)),
                    ("owner", .text(lease.owner?.display)), ("note", .text(lease.note?.display)),
                    ("names", .integer(lease.nameCount)), ("bound", .text(lease.binding?.rawValue)),
                ]
        )
    }

    private static func json(_ waiter: Reply.WaiterLine) -> JSON {
        .object(
            [
                ("name", .string(waiter.name.display)), ("name_escaped", .string(waiter.name.spelling)),
                ("state", .string("waiting")), ("position", .integer(waiter.position)),
            ] + json(waiter.holderLimit) + json(waiter.peer) + [
                ("client", .text(waiter.client?.display)), ("waited_ms", .integer(waiter.waited.count)),
                ("left_ms", .integer(waiter.left?.count)), ("ttl_ms", .integer(waiter.timeToLive?.count)),
                ("owner", .text(waiter.owner?.display)), ("note", .text(waiter.note?.display)),
                ("names", .integer(waiter.nameCount)),
            ]
        )
    }

    static func json(_ peer: Reply.Peer) -> [(String, JSON)] {
        [
            ("pid", .integer(peer.process?.value)), ("command", .text(peer.command?.display)),
            ("uid", .integer(peer.user?.value)), ("user", .text(peer.user.map(Users.name))),
            ("unit", .text(peer.unit?.display)), ("session", .integer(peer.session?.value)),
        ]
    }
}

/// `lockctl ls`: who holds what, who waits.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List leases and the requests that wait for them."
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON array, an object for each lease and each waiting request.")
    var json = false

    @Argument(help: "Only locks whose names begin so.", transform: lockName)
    var prefix: LockName?

    func run() throws {
        try reportingFailures {
            var listing = try Listing(from: daemon.connect().connection) { .list(prefix: prefix, $0) }
            listing.sortByName()
            if json {
                print(listing.json.line)
            } else {
                listing.table.lines.forEach { print($0) }
            }
        }
    }
}

/// `lockctl show`: everything about one lock.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show who holds a lock, and who waits for it in which order."
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON array, an object for the lease and each waiting request; empty if the lock is free.")
    var json = false

    @Argument(help: "The lock.", transform: lockName)
    var name: LockName

    func run() throws {
        try reportingFailures {
            let listing = try Listing(from: daemon.connect().connection) { .show(name, $0) }
            if json { return print(listing.json.line) }
            if listing.lines.isEmpty { print("\(name.display) is free") }
            for line in listing.lines {
                switch line {
                case .lease(let lease): describe(lease)
                case .waiter(let waiter): describe(waiter)
                }
            }
        }
    }

    private func describe(_ lease: Reply.LeaseLine) {
        print("\(lease.name.display) is held by \(lease.peer.display) for \(lease.held.display)")
        print("  token    \(lease.token)")
        if lease.holderLimit != .exclusive { print("  mode     \(Listing.words(lease.holderLimit).dropFirst(2))") }
        if let timeToLive = lease.timeToLive {
            print("  ttl      \(timeToLive), \(lease.left?.display ?? "?") left")
        }
        if lease.nameCount > 1 { print("  names    \(lease.nameCount), held together") }
        if lease.binding != nil { print("  bound    \(Listing.words(lease.binding).dropFirst(", bound ".count))") }
        if let owner = lease.owner { print("  owner    \(owner.display)") }
        if let client = lease.client { print("  client   \(client.display)") }
        if let note = lease.note { print("  note     \(note.display)") }
        print("  waiters  \(lease.waiterCount)")
    }

    private func describe(_ waiter: Reply.WaiterLine) {
        let left = waiter.left.map { ", \($0.display) left" } ?? ""
        let note = waiter.note.map { ": \($0.display)" } ?? ""
        let names = waiter.nameCount > 1 ? ", with \(waiter.nameCount - 1) other names" : ""
        let mode = Listing.words(waiter.holderLimit)
        print(
            "  #\(waiter.position) \(waiter.peer.display) waits for \(waiter.waited.display)\(left)\(mode)\(names)\(note)"
        )
    }
}
