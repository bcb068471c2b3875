import ArgumentParser
import CLinux
import Glibc
import LockdModel
import LockdServer
import Logging

/// The program `lockd`: finds out what is wanted, wires the parts, serves until it is told to stop.
@main
struct Lockd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockd",
        abstract: "Grants named leases to the processes of this machine.",
        discussion: """
            The daemon listens on a Unix-domain socket and keeps a few bytes of state. It stays in the foreground; SIGTERM or SIGINT end it.

            What is given here goes before what the configuration file says.
            """,
        version: "lockd \(LockdVersion.current)"
    )

    @Flag(help: "Serve this user only: socket in $XDG_RUNTIME_DIR/lockd, state in $XDG_STATE_HOME/lockd.")
    var user = false

    @Option(help: ArgumentHelp("Where to listen (default: /run/lockd/lockd.sock).", valueName: "path"))
    var socket: String?

    @Option(help: ArgumentHelp("Where to keep state (default: $STATE_DIRECTORY or /var/lib/lockd).", valueName: "dir"))
    var stateDir: String?

    @Option(help: ArgumentHelp("A configuration file (YAML).", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp("\(levelNames) (default: notice).", valueName: "level"),
        transform: level
    )
    var logLevel: Logger.Level?

    private static let levelNames = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")

    private static func level(_ name: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: name) else {
            throw ValidationError("\"\(name)\" is not a level; it can be \(levelNames)")
        }
        return level
    }

    /// EX_CONFIG of sysexits.h: something in the way that starting again will not mend.
    private static let configurationExitCode = ExitCode(78)

    func run() throws {
        do {
            let settings = try Settings(
                file: config,
                socket: socket,
                stateDirectory: stateDir,
                logLevel: logLevel,
                isForUser: user
            )
            try serve(settings)
        } catch {
            let message = "lockd: \(error)\n"
            _ = message.withCString { write(STDERR_FILENO, $0, strlen($0)) }
            throw Self.configurationExitCode
        }
    }

    private func serve(_ settings: Settings) throws {
        let logLevel = settings.logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = logLevel
            return handler
        }
        // The reader of the log may go away. That is no reason to end, and every lease with it.
        signal(SIGPIPE, SIG_IGN)
        // Before any thread is made, so that all of them leave the signals to the descriptor.
        let signals = clinux_termination_signalfd()
        guard signals != -1 else {
            throw SettingsProblem("cannot wait for signals: \(String(cString: strerror(errno)))")
        }
        try settings.makeDirectories()
        let server = try Server(
            configuration: ServerConfiguration(
                socketPath: settings.socketPath,
                socketMode: settings.socketMode,
                stateDirectory: settings.stateDirectory,
                limits: settings.limits,
                version: LockdVersion.current,
                stopDescriptor: signals
            ),
            logger: Logger(label: "lockd")
        )
        try server.run()
    }
}
