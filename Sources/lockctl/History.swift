import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl history`: who held a lock.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        _superCommandName: Lockctl.name,
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
            let table = Self.table(lines, at: .now())
            for index in 0..<table.lineCount { print(table.inkedLine(index).written(with: .output)) }
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
            table.appendRow { words in
                words.add(now.earlier(by: line.ago).display(at: now))
                words.add(line.outcome.rawValue)
                Listing.add(line.peer, to: &words)
                words.add(line.waited.display)
                words.add(line.held.display)
                words.add("\(line.token)")
                words.add(line.note?.display ?? "")
            }
        }
        table.hide(empty: ["UNIT"])
        return table
    }

    static func json(_ line: Reply.HoldLine) -> JSON {
        .object { object in
            object.write(member: "name", .string(line.name.display))
            object.write(member: "name_escaped", .string(line.name.spelling))
            object.write(member: "outcome", .string(line.outcome.rawValue))
            object.write(member: "token", .integer(line.token.value))
            Listing.add(line.peer, to: &object)
            object.write(member: "waited_ms", .integer(line.waited.count))
            object.write(member: "held_ms", .integer(line.held.count))
            object.write(member: "ago_ms", .integer(line.ago.count))
            object.write(member: "note", .text(line.note?.display))
        }
    }
}
