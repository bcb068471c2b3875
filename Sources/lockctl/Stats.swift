import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl stats`: the daemon's counters and limits.
struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        abstract: "Show the daemon's counters and limits.",
        discussion: "lockd-protocol(7) says what each of them means. The counters begin anew when the daemon does."
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        try reportingFailures {
            let connection = try daemon.connect().connection
            connection.send(.stats)
            let statistics = try Self.read(connection)
            if json { return print(JSON.object(statistics.map { ($0, Self.json($1)) }).line) }
            let width = statistics.map(\.key.count).max() ?? 0
            for (key, value) in statistics {
                print(key + String(repeating: " ", count: width - key.count + 2) + value)
            }
        }
    }

    private static func read(_ connection: BlockingConnection) throws -> [(key: String, value: String)] {
        var statistics: [(key: String, value: String)] = []
        while true {
            switch try connection.receive() {
            case .statistic(let key, let value): statistics.append((key, value))
            case .end: return statistics
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }
    }

    /// Numbers as numbers, everything else as it is spelled.
    private static func json(_ value: String) -> JSON {
        Int64(value).map { .integer($0) } ?? .string(value)
    }
}
