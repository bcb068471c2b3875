import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl once`: a command, unless it is being done already.
struct Once: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "once",
        _superCommandName: Lockctl.name,
        abstract: "Run a command while holding a lease, or nothing if somebody else does or is about to.",
        usage: """
            lockctl once [--note <text>] [-v | -q] [--on-loss terminate|signal:<sig>|ignore] [--leader-only | --leave-behind] \
            [--grace <duration>] [--die-with-parent] <name> … -- <command> [<argument> …]
            """,
        discussion: Help.text(
            """
            For cron and timers, whose next run is to be skipped while the one before goes on: if the lock is held, or somebody waits for it, it exits with 0 at once, and says so \
            on a terminal only. Otherwise it is like lockctl run -n, with the same exit codes.
            """,
            examples: [
                "lockctl once backup -- /usr/local/sbin/backup": "in a crontab"
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(
        help: ArgumentHelp("What others see about the lease (default: the command's name).", valueName: "text")
    )
    var note: String?

    @Flag(name: .shortAndLong, help: "Say that nothing is done, also where stderr is no terminal.")
    var verbose = false

    @Flag(
        name: [.customShort("q"), .customLong("quiet")],
        help: "Say nothing of the lock, also on a terminal, nor that the holder before did not release it."
    )
    var isQuiet = false

    @OptionGroup var commandOptions: CommandOptions

    @Argument(help: "The locks.", completion: Completing.lockNames, transform: lockName)
    var names: [LockName]

    /// The command and its arguments; see ``Lockctl/prepared(_:)``.
    @Option(name: .customLong("command"), parsing: .remaining, help: .hidden, transform: { String($0.dropFirst()) })
    var command: [String] = []

    func validate() throws {
        _ = try lockNames(names)
        try checkNote(note)
        if verbose && isQuiet { throw ValidationError("--verbose and --quiet exclude each other") }
        if command.isEmpty { throw ValidationError("the command is missing: lockctl once <name> … -- <command> …") }
    }

    func run() throws {
        try reportingFailures {
            let names = try lockNames(names)
            let report = LeaseReport(names: names, form: isQuiet ? .quiet : .lines)
            try commandOptions.begin()
            let (connection, _) = try daemon.begin()
            let lifeline = try Lifeline()
            let note = CommandUnderLease.note(note, for: command)
            let terms = AcquireTerms(names: names, wait: .none, note: note, binding: .pipe)
            switch try connection.ask(.acquire(terms), with: lifeline.leaseEnd) {
            case .granted(_, let token, _, let predecessor):
                if case .abandoned(let abandonment) = predecessor { report.follows(abandonment) }
                try daemon.passOn()
                var work = try CommandUnderLease(
                    on: connection,
                    names: names,
                    token: token,
                    lifeline: lifeline,
                    policy: commandOptions.policy,
                    reports: report
                )
                throw ExitCode(try work.run(command, codeOfFailure: CommandUnderLease.codeOfFailure()))
            case .busy(_, let holder, let waiterCount):
                guard verbose || isatty(STDERR_FILENO) == 1, !isQuiet else { return }
                complain(
                    "nothing is done, \(names.display) \(names.areOrIs) not free: \(Situation.words(holder, waiterCount))",
                    as: .quiet
                )
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }
    }
}
