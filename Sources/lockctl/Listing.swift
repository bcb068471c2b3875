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

        var peer: Reply.Peer {
            switch self {
            case .lease(let line): line.peer
            case .waiter(let line): line.peer
            }
        }

        /// What the line is sorted by: smaller ones first.
        fileprivate func key(_ order: Order) -> SortKey {
            switch (order, self) {
            case (.name, _): SortKey(number: 0, text: name.spelling)
            case (.time, .lease(let line)): SortKey(number: -line.held.count)
            case (.time, .waiter(let line)): SortKey(number: -line.waited.count)
            case (.waiters, .lease(let line)): SortKey(number: -Int64(line.waiterCount), text: name.spelling)
            case (.waiters, .waiter): SortKey(number: 1, text: name.spelling)
            }
        }
    }

    fileprivate struct SortKey: Comparable {
        var number: Int64
        var text = ""

        static func < (left: SortKey, right: SortKey) -> Bool {
            left.number == right.number ? left.text < right.text : left.number < right.number
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

    /// What the lines can be put in order by.
    enum Order: String, CaseIterable {
        /// By the names of the locks; of one lock, its leases and then its queue.
        case name
        /// Those first that are held, or waited for, the longest.
        case time = "for"
        /// The leases first for which most wait.
        case waiters
    }

    /// Puts the lines in order; those that are alike stay as the daemon has them, where a lock's are in the order of its queue.
    mutating func sort(by order: Order) {
        let sorted = lines.enumerated().sorted { left, right in
            let (leftKey, rightKey) = (left.element.key(order), right.element.key(order))
            return leftKey == rightKey ? left.offset < right.offset : leftKey < rightKey
        }
        lines = sorted.map(\.element)
    }

    /// Leaves what `isWanted`.
    mutating func filter(_ isWanted: (Line) -> Bool) { lines = lines.filter(isWanted) }

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

    static let header = [
        "NAME", "STATE", "PID", "COMMAND", "USER", "UNIT", "FOR", "WAITERS", "NAMES", "TOKEN", "NOTE",
    ]

    /// A table for people, with all columns.
    var table: Table {
        var table = Table(header: Self.header, emphasis: ["STATE": Self.emphasis])
        for line in lines {
            switch line {
            case .lease(let lease):
                table.append(
                    [
                        lease.name.display,
                        "held" + Self.words(lease.holderLimit) + Self.words(lease.binding)
                            + Self.words(detached: lease.detached),
                    ]
                        + Self.words(lease.peer) + [
                            lease.held.display, "\(lease.waiterCount)", Self.words(nameCount: lease.nameCount),
                            "\(lease.token)", lease.note?.display ?? "",
                        ]
                )
            case .waiter(let waiter):
                table.append(
                    [
                        waiter.name.display,
                        "waits #\(waiter.position)" + Self.words(waiter.holderLimit)
                            + Self.words(detached: waiter.detached),
                    ]
                        + Self.words(waiter.peer) + [
                            waiter.waited.display, "", Self.words(nameCount: waiter.nameCount), "",
                            waiter.note?.display ?? "",
                        ]
                )
            }
        }
        return table
    }

    /// What the words of a state are.
    private static func emphasis(state: String) -> Emphasis? {
        if state.contains(", detached ") { return .wrong }
        return state.hasPrefix("held") ? .good : .warning
    }

    /// One object for each line, for programs.
    var objects: [JSON] {
        lines.map { line in
            switch line {
            case .lease(let lease): Self.json(lease)
            case .waiter(let waiter): Self.json(waiter)
            }
        }
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

    /// What is said of a session that has no connection, as after a restart of the daemon until it is back.
    static func words(detached: Milliseconds?) -> String { detached.map { ", detached for \($0.display)" } ?? "" }

    private static func words(nameCount: Int) -> String { nameCount > 1 ? "\(nameCount)" : "" }

    /// Its pid, command, user and unit.
    static func words(_ peer: Reply.Peer) -> [String] {
        [
            peer.process.map { "\($0)" } ?? "?", peer.command?.display ?? "?",
            peer.user.map(Users.name) ?? "?", peer.unit?.display ?? "",
        ]
    }

    static func json(_ lease: Reply.LeaseLine) -> JSON {
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
                    ("detached_ms", .integer(lease.detached?.count)),
                ]
        )
    }

    /// - Parameter more: members that the object has besides.
    static func json(_ waiter: Reply.WaiterLine, with more: [(String, JSON)] = []) -> JSON {
        .object(
            [
                ("name", .string(waiter.name.display)), ("name_escaped", .string(waiter.name.spelling)),
                ("state", .string("waiting")), ("position", .integer(waiter.position)),
            ] + json(waiter.holderLimit) + json(waiter.peer) + [
                ("client", .text(waiter.client?.display)), ("waited_ms", .integer(waiter.waited.count)),
                ("left_ms", .integer(waiter.left?.count)), ("ttl_ms", .integer(waiter.timeToLive?.count)),
                ("owner", .text(waiter.owner?.display)), ("note", .text(waiter.note?.display)),
                ("names", .integer(waiter.nameCount)), ("detached_ms", .integer(waiter.detached?.count)),
            ] + more
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
