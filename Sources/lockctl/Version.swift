import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl version`: of this program and of the daemon that runs.
struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        _superCommandName: Lockctl.name,
        abstract: "Show the version of lockctl and of the daemon that runs.",
        discussion: Help.text(
            "Exits with 69 if the daemon cannot be reached.",
            examples: [
                "lockctl version": "of both, and which daemon it is",
                "lockctl version --json | jq .features": "what the daemon can do",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        if !json { print("lockctl \(LockdVersion.current)") }
        try reportingFailures {
            let (_, welcome, path) = try daemon.connect(patience: .seconds(5))
            if json {
                print(
                    JSON.object([
                        ("lockctl", .string(LockdVersion.current)), ("lockd", .string("\(welcome.daemonVersion)")),
                        ("pid", .integer(welcome.process.value)), ("socket", .string(path)),
                        ("features", .array(welcome.features.sorted().map { .string($0) })),
                    ]).line
                )
            } else {
                print("lockd   \(welcome.daemonVersion) (pid \(welcome.process)) at \(path)")
            }
        }
    }
}
