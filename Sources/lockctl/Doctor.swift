import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl doctor`: what is wrong, and the command that mends it.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        _superCommandName: Lockctl.name,
        abstract: "Look for what keeps programs from their leases, and say what mends it.",
        discussion: Help.text(
            "Exits with 1 if something is wrong. Warnings are not; they say what may go wrong next.",
            examples: [
                "lockctl doctor": "what is looked at, and how it is",
                "lockctl doctor --socket /run/x.sock": "of another daemon",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    /// How long a daemon may take to answer.
    private static let patience = Milliseconds.seconds(5)

    @Flag(help: "One JSON array, an object for each finding.")
    var json = false

    func run() throws {
        var findings: [Finding] = []
        try reportingFailures {
            let path = try SocketPath.find(argument: daemon.socket, user: daemon.user)
            // Also where the environment says so, and nobody has to.
            let isUsersOwn = daemon.user || (try? SocketPath.find(user: true)) == path
            let examination = Examination(path: path, isUsersOwn: isUsersOwn)
            findings = examination.findings { try daemon.connect(patience: Self.patience) }
        }
        if json {
            print(JSON.array(findings.map(\.json)).line)
        } else {
            for finding in findings { print(finding.line(with: .output)) }
        }
        if findings.contains(where: { $0.verdict == .wrong }) { throw Ending.nothingThere }
    }
}
