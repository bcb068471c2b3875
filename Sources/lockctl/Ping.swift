import ArgumentParser
import LockdClient
import LockdWire

/// `lockctl ping`: whether the daemon answers.
struct Ping: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ping",
        abstract: "Ask the daemon whether it is there."
    )

    @OptionGroup var daemon: DaemonOptions

    func run() throws {
        try reportingFailures {
            let (connection, welcome, path) = try daemon.connect()
            let clock = ContinuousClock()
            let start = clock.now
            let reply = try connection.ask(.ping)
            guard case .pong = reply else { throw Unexpected(reply) }
            let microseconds = (clock.now - start) / .microseconds(1)
            print(
                "lockd \(welcome.daemonVersion) (pid \(welcome.process)) at \(path) answered in \(Int(microseconds)) µs"
            )
        }
    }
}
