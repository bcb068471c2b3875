import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl metrics`: what a monitoring system wants to know of the daemon.
struct Metrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        _superCommandName: Lockctl.name,
        abstract: "Print the daemon's counters, and how long leases are waited for and held, for Prometheus.",
        discussion: Help.text(
            """
            As OpenMetrics text, or in the text format of Prometheus, which is what the textfile collector of its node exporter reads. Names in labels are \
            printable UTF-8 as it is, and %XX for every other byte. Exits with 69 if the daemon cannot be reached, 74 if the metrics cannot be written.
            """,
            examples: [
                "lockctl metrics": "as OpenMetrics",
                "lockctl metrics --format text": "for the textfile collector",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(help: "openmetrics, or text for the text format of Prometheus.")
    var format = Exposition.Format.openmetrics

    @Flag(help: "Answer the HTTP request that comes on stdin, in the format that it asks for: for a socket unit.")
    var http = false

    func run() throws {
        try reportingFailures {
            if http { return try Scrape { try read().text(in: $0) }.answer() }
            try write(Array(read().text(in: format).utf8), to: 1)
        }
    }

    /// A daemon that does not answer must not keep those who ask every few seconds.
    private static let patience = Milliseconds.seconds(5)

    /// Asks the daemon for all of it.
    private func read() throws -> Exposition {
        let (connection, welcome, _) = try daemon.connect(patience: Self.patience)
        var exposition = Exposition()
        connection.send(.stats)
        var next = try receive(connection, &exposition)
        // A daemon that was not restarted since it was replaced by a later version may have none.
        guard welcome.features.contains("histograms") else { return exposition }
        repeat {
            connection.send(.histograms(Request.Page(after: next)))
            next = try receive(connection, &exposition)
        } while next != nil
        return exposition
    }

    /// Receives lines up to the end of a page, and returns where the next one begins.
    private func receive(_ connection: BlockingConnection, _ exposition: inout Exposition) throws -> Cursor? {
        while true {
            switch try connection.receive() {
            case .statistic(let key, let value): exposition.statistics[key] = value
            case .histogram(let line): exposition.histograms.append(line)
            case .end(let next): return next
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }
    }
}
