import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl ping`: whether the daemon answers.
struct Ping: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping",
        _superCommandName: Lockctl.name,
        abstract: "Ask the daemon whether it is there.",
        discussion: Help.text(
            "Exits with 69 if it is not, or does not answer within five seconds.",
            examples: [
                "lockctl ping": "who answers, where, and how fast",
                "lockctl ping --user": "the user's own daemon",
                "until lockctl ping; do sleep 1; done": "until it is there",
            ]
        )
    )

    private static let patience = Milliseconds.seconds(5)

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        try reportingFailures {
            let (connection, welcome, path) = try daemon.connect(patience: Self.patience)
            let clock = ContinuousClock()
            let start = clock.now
            let reply = try connection.ask(.ping)
            guard case .pong = reply else { throw Unexpected(reply) }
            let microseconds = Int((clock.now - start) / .microseconds(1))
            if json {
                let members: [(String, JSON)] = [
                    ("lockd", .string("\(welcome.daemonVersion)")), ("pid", .integer(welcome.process.value)),
                    ("socket", .string(path)), ("answered_us", .integer(microseconds)),
                ]
                return print(JSON.object(members).line)
            }
            print("lockd \(welcome.daemonVersion) (pid \(welcome.process)) at \(path) answered in \(microseconds) µs")
        }
    }
}
