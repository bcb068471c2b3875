import ArgumentParser
import CLinux
import CUnix
import Glibc
import LockdModel
import LockdServer
import Logging
import Systemd

/// The program `lockd`: finds out what is wanted, wires the parts, serves until it is told to stop.
@main
struct Lockd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockd",
        abstract: "Grants named leases to the processes of this machine.",
        discussion: """
            The daemon listens on a Unix-domain socket and keeps a few bytes of state. It stays in the foreground; SIGTERM or SIGINT end it, and on \
            SIGHUP it reads the configuration file again. Started by systemd with a socket, it listens there.

            What is given here goes before what the environment says (LOCKD_SOCKET, LOCKD_STATE_DIR, LOCKD_LOG_LEVEL, LOCKD_EXIT_WHEN_IDLE, \
            LOCKD_LIMITS_SESSIONS, …), and that before the configuration file.
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

    @Option(help: ArgumentHelp("\(Setting.levelNames) (default: notice).", valueName: "level"))
    var logLevel: String?

    @Option(
        help: ArgumentHelp(
            "End when nobody has used it for so long: 30s, 10m. Needs a socket of systemd's.",
            valueName: "time"
        )
    )
    var exitWhenIdle: String?

    @Flag(help: "Start nothing: say what would be in force, and where that is said, or all that is wrong.")
    var checkConfig = false

    @Flag(name: .customLong("no-log"), help: "Leave nothing to the next daemon: all leases end with this one.")
    var leavesNothing = false

    /// EX_CONFIG of sysexits.h: something in the way that starting again will not mend.
    private static let configurationExitCode = ExitCode(78)

    /// What the command line says of settings, by key.
    private var arguments: [String: String] {
        let said = [
            (Setting.socket, socket), (.stateDirectory, stateDir), (.logLevel, logLevel), (.exitWhenIdle, exitWhenIdle),
        ]
        return Dictionary(uniqueKeysWithValues: said.compactMap { setting, text in text.map { (setting.key, $0) } })
    }

    /// Parses the command line and serves; what is wrong with the line is said as everything else is.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            let message = message(for: error)
            // What was asked for, a summary for instance, and what has been said already.
            if code == .success || message.isEmpty { exit(withError: error) }
            complain(Readable.complaint(message))
            if code == .validationFailure { complain("see \"lockd --help\"") }
            exit(withError: code)
        }
    }

    func validate() throws {
        // Whoever checks wants to have it with all the rest.
        if checkConfig { return }
        for setting in Setting.all {
            guard let text = arguments[setting.key], let objection = setting.objection(to: text) else { continue }
            throw ValidationError("\(setting.option): \(objection)")
        }
    }

    func run() throws {
        do {
            let environment = Environment.ofProcess()
            var request = Settings.Request(
                arguments: arguments,
                environment: environment,
                file: config,
                isForUser: user
            )
            if checkConfig { return try check(request) }
            let passed = try ListenDescriptors.takeFromEnvironment()
            request.listeningAt = try passed.listener.map(Self.name)
            let read = { [request] in try Settings(request) }
            try serve(read(), passed, readSettings: read)
        } catch {
            let sentences = (error as? SettingsProblem)?.sentences ?? ["\(error)"]
            for sentence in sentences { Self.complain(sentence) }
            throw Self.configurationExitCode
        }
    }

    private func check(_ request: Settings.Request) throws {
        let check = try ConfigurationCheck(request)
        for line in check.lines { print(line) }
        for note in check.notes { Self.complain(note) }
    }

    private static func complain(_ sentence: String) {
        let message = "lockd: \(sentence)\n"
        _ = message.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }

    private func serve(
        _ settings: Settings,
        _ passed: ListenDescriptors,
        readSettings: @escaping () throws -> Settings
    ) throws {
        let logLevel = LogLevel(settings.logLevel)
        let toJournal = JournalLogHandler.stderrIsJournal
        LoggingSystem.bootstrap { label in
            let stderr = StreamLogHandler.standardError(label: label)
            return LeveledLogHandler(toJournal ? JournalLogHandler(substitute: stderr) : stderr, logLevel)
        }
        let logger = Logger(label: "lockd")
        // The reader of the log may go away. That is no reason to end, and every lease with it.
        signal(SIGPIPE, SIG_IGN)
        // So systemd ends a daemon that hangs. Swift's own handler would look at the threads, and then let the process go on.
        signal(SIGABRT, SIG_DFL)
        // Before any thread is made, so that all of them leave the signals to the descriptors.
        let (signals, hangUps) = (clinux_termination_signalfd(), clinux_hang_up_signalfd())
        guard signals != -1, hangUps != -1 else {
            throw SettingsProblem("cannot wait for signals: \(String(cString: strerror(errno)))")
        }
        try settings.makeDirectories()
        let notifier = try Notifier()
        let supervisor = try ServiceSupervisor(
            settings,
            requests: hangUps,
            notifier: notifier,
            watchdog: Watchdog(),
            logger: logger,
            logLevel: logLevel,
            readSettings: readSettings
        )
        var configuration = ServerConfiguration(
            socketPath: settings.socketPath,
            socketMode: settings.socketMode,
            stateDirectory: settings.stateDirectory,
            limits: settings.limits,
            version: LockdVersion.current,
            stopDescriptor: signals
        )
        configuration.listeningDescriptor = passed.listener
        configuration.exitWhenIdle = settings.exitWhenIdle
        configuration.keepsLog = !leavesNothing
        configuration.unitOfPeer = PeerUnit.name
        supervisor.serverIsStarting()
        let isKept = { (named: ListenDescriptors.Named) in named.name.hasPrefix(Server.keptNamePrefix) }
        let server = try Server(
            configuration: configuration,
            logger: logger,
            store: notifier.descriptor != nil && !leavesNothing ? ServiceStore(notifier, logger: logger) : nil,
            kept: passed.stored.filter(isKept).map { ($0.name, $0.descriptor) },
            supervisor: supervisor
        )
        Self.discard(passed.stored.filter { !isKept($0) }, notifier, logger)
        try server.run()
    }

    /// Closes what a daemon before this one has left with systemd, and has it forgotten there.
    private static func discard(_ stored: [ListenDescriptors.Named], _ notifier: Notifier, _ logger: Logger) {
        if stored.isEmpty { return }
        let names = Set(stored.map(\.name)).sorted()
        logger.warning("cannot use what is in the fd store", metadata: ["names": "\(names.joined(separator: " "))"])
        for name in names { _ = notifier.removeStored(name) }
        for named in stored { close(named.descriptor) }
    }

    /// Where a socket listens that was passed.
    private static func name(of listener: CInt) throws -> String {
        let room = Int(cunix_path_maximum()) + 1
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, filled in
            count = clinux_unix_name(listener, buffer.baseAddress)
            filled = max(0, count)
        }
        guard count > 0 else {
            throw SettingsProblem(
                "systemd has passed a socket that listens nowhere: ListenStream= of the socket unit must be a path"
            )
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
