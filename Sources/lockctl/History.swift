import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl history`: who held a lock.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Show the last leases on a lock that have ended, the latest first.",
        discussion: Help.text(
            "The daemon remembers up to 16 of a lock, and forgets them when it ends.",
            examples: [
                "lockctl history reports/nightly": "who had it, for how long, and how that ended"
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON array, an object for each lease.")
    var json = false

    @Argument(help: "The lock.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func run() throws {
        try reportingFailures {
            let connection = try daemon.connect().connection
            connection.send(.history(name))
            let lines = try Self.read(connection)
            if json { return print(JSON.array(lines.map(Self.json)).line) }
            if lines.isEmpty { return print("no lease on \(name.display) is remembered") }
            Self.table(lines, at: .now()).inkedLines.forEach { print($0.written(with: .output)) }
        }
    }

    private static func read(_ connection: BlockingConnection) throws -> [Reply.HoldLine] {
        var lines: [Reply.HoldLine] = []
        while true {
            switch try connection.receive() {
            case .hold(let line): lines.append(line)
            case .end: return lines
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }
    }

    static func table(_ lines: [Reply.HoldLine], at now: WallTime) -> Table {
        var table = Table(
            header: ["ENDED", "HOW", "PID", "COMMAND", "USER", "UNIT", "WAITED", "HELD", "TOKEN", "NOTE"],
            emphasis: ["HOW": { $0 == LeaseOutcome.released.rawValue ? nil : .wrong }]
        )
        for line in lines {
            table.append(
                [now.earlier(by: line.ago).display(at: now), line.outcome.rawValue] + Listing.words(line.peer) + [
                    line.waited.display, line.held.display, "\(line.token)", line.note?.display ?? "",
                ]
            )
        }
        return table.without(empty: ["UNIT"])
    }

    static func json(_ line: Reply.HoldLine) -> JSON {
        .object(
            [
                ("name", .string(line.name.display)), ("name_escaped", .string(line.name.spelling)),
                ("outcome", .string(line.outcome.rawValue)), ("token", .integer(line.token.value)),
            ] + Listing.json(line.peer) + [
                ("waited_ms", .integer(line.waited.count)), ("held_ms", .integer(line.held.count)),
                ("ago_ms", .integer(line.ago.count)), ("note", .text(line.note?.display)),
            ]
        )
    }
}
