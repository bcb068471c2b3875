import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl stats`: the daemon's counters and limits.
struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats",
        _superCommandName: Lockctl.name,
        abstract: "Show the daemon's counters and limits.",
        discussion: Help.text(
            "lockd-protocol(7) says what each of them means. The counters begin anew when the daemon does.",
            examples: [
                "lockctl stats": "a line for each",
                "lockctl stats --json | jq .leases": "one of them",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        try reportingFailures {
            let connection = try daemon.connect().connection
            connection.send(.stats)
            let statistics = try Self.read(connection)
            if json { return print(JSON.object(statistics.map(Self.json)).line) }
            let width = statistics.map(\.key.count).max() ?? 0
            for (key, value) in statistics {
                print(key + String(repeating: " ", count: width - key.count + 2) + Self.display(key, value))
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

    /// Times and amounts of memory as people say them, everything else as it is spelled.
    private static func display(_ key: String, _ value: String) -> String {
        if key == "start-time", let milliseconds = Int64(value) { return WallTime(milliseconds: milliseconds).date }
        if key.hasPrefix("bytes-") || key.contains("-bytes"), let count = Int64(value) { return Bytes(count).display }
        return time(value)?.display ?? value
    }

    private static func time(_ spelling: String) -> Milliseconds? {
        if Int64(spelling) != nil { return nil }
        var spelling = spelling
        return spelling.withUTF8 { Milliseconds(spelling: UnsafeRawBufferPointer($0)) }
    }

    /// Numbers and times as numbers, everything else as it is spelled; keys as those of the other objects are.
    static func json(_ key: String, _ value: String) -> (String, JSON) {
        let key = String(key.map { $0 == "-" ? "_" : $0 })
        // The only instant; it is in milliseconds, as all of them are.
        if key == "start_time", let number = Int64(value) { return ("start_time_ms", .integer(number)) }
        if let number = Int64(value) { return (key, .integer(number)) }
        return time(value).map { (key + "_ms", .integer($0.count)) } ?? (key, .string(value))
    }
}
