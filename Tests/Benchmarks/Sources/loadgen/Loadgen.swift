import ArgumentParser

/// The load of the benchmarks.
@main
struct Loadgen: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loadgen",
        abstract: "Drive a lock server on a Unix socket, check every reply, and print throughput and latency.",
        discussion: """
            The loop is closed: a connection sends DEPTH requests in one write, to acquire as many locks of its own, and when all \
            of them are answered as many to release them. Each request is one operation. The exit status is 1 if a reply was wrong.
            """
    )

    @Argument(help: "The path of the server's socket.")
    var socket: String

    @Option(help: "What the server speaks: lockd or redis.")
    var `protocol`: Dialect = .lockd

    @Option(help: "How many connections.")
    var connections = 50

    @Option(help: "How many requests a connection sends at a time, at most 1024.")
    var depth = 1

    @Option(help: "How long to measure.")
    var seconds = 5.0

    @Option(help: "Measure so many operations, and a few more, instead of a time.")
    var requests: Int?

    @Option(help: "How many seconds to run before measuring.")
    var warmUp = 0.2

    @Flag(help: "Let all connections want the same lock and measure how fast it is handed over.")
    var contended = false

    @Flag(help: "Send lockd's requests without tags.")
    var untagged = false

    @Flag(help: "Print one line of JSON.")
    var json = false

    func validate() throws {
        guard connections >= (contended ? 2 : 1) else {
            throw ValidationError("--connections is at least 1, and at least 2 with --contended.")
        }
        guard (1...1024).contains(depth) else { throw ValidationError("--depth is 1 to 1024.") }
        guard seconds > 0, requests ?? 1 > 0 else { throw ValidationError("--seconds and --requests are more than 0.") }
        guard warmUp >= 0 else { throw ValidationError("--warm-up is not negative.") }
        if contended {
            guard depth == 1, `protocol` == .lockd, !untagged else {
                throw ValidationError("--contended goes without --depth, --protocol and --untagged.")
            }
        }
    }

    func run() throws {
        let measurement = Measurement(
            extent: requests.map { .operations($0) } ?? .seconds(seconds),
            warmUpSeconds: warmUp
        )
        let result: Measurement
        if contended {
            var load = try Contention(socket: socket, connections: connections, measurement: measurement)
            result = try load.run()
        } else {
            var load = try ClosedLoop(
                socket: socket,
                dialect: `protocol`,
                connections: connections,
                depth: depth,
                tagged: !untagged,
                measurement: measurement
            )
            result = try load.run()
        }
        print(json ? result.json : result.text)
        if let wrongReply = result.firstWrongReply {
            throw wrongReply
        }
    }
}
