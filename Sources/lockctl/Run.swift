import ArgumentParser
import LockdClient
import LockdModel

/// `lockctl run`: a command under a lease.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        _superCommandName: Lockctl.name,
        abstract: "Run a command while holding a lease.",
        usage: """
            lockctl run [-n | -w <duration>] [-s | --limit <count>] [--max-queue <count>] [--ttl <duration>] [--note <text>] [-E <code>] \
            [--on-loss terminate|signal:<sig>|ignore] [--leader-only | --leave-behind] [--grace <duration>] [--die-with-parent] [--progress plain|json | -q] \
            <name> … (-- <command> [<argument> …] | -c <line>)
            """,
        discussion: """
            Waits for the lease, runs the command, releases the lease. Several locks are acquired at once, by one lease: nobody holds a part of them. The \
            command finds the first lock in $LOCKD_NAME, all of them, spelled as the protocol does it, with spaces between them, in $LOCKD_NAMES, and the \
            fencing token in $LOCKD_TOKEN.

            The lease covers the command and all that it starts: it is held until the last of them has ended, also if lockctl itself is killed meanwhile. A \
            program that closes every descriptor it does not know, as daemons do, escapes it. With --leader-only the command alone counts.

            TERM, and the loss of the lease, end all of them: they get TERM, and KILL after --grace. INT, HUP, QUIT, USR1, USR2, WINCH, TSTP and CONT are \
            passed on to the command.

            Exit codes:
              that of the command, or 128 plus the number of the signal that ended it
              64   the command line is wrong
              69   lockd cannot be reached
              70   the lease would never be granted: a deadlock
              71   the system refuses something, a process for instance
              75   the lease was not acquired (-E chooses another code)
              126  the command cannot be run
              127  the command was not found

            Examples:
              lockctl run reports/nightly -- make report
              lockctl run -w 10m src dst -- rsync -a src/ dst/
              lockctl run -s db -c 'pg_dump db | gzip > db.gz'
              lockctl run --leader-only deploy -- ./start-daemons.sh
            """
    )

    @OptionGroup var daemon: DaemonOptions

    @OptionGroup var options: AcquireOptions

    @OptionGroup var commandOptions: CommandOptions

    @Option(
        help: ArgumentHelp(
            "End the lease after so long, unless the command renews it with lockctl renew: 30s, 5m.",
            valueName: "duration"
        ),
        transform: duration
    )
    var ttl: Milliseconds?

    @Option(
        help: ArgumentHelp("What others see about the lease (default: the command's name).", valueName: "text")
    )
    var note: String?

    @Option(
        name: .customShort("c"),
        parsing: .unconditional,
        help: ArgumentHelp("A line for the shell /bin/sh, instead of a command.", valueName: "line")
    )
    var line: String?

    @Argument(help: "The locks.", completion: Completing.lockNames, transform: lockName)
    var names: [LockName]

    /// The command and its arguments; see ``Lockctl/prepared(_:)``.
    @Option(name: .customLong("command"), parsing: .remaining, help: .hidden, transform: { String($0.dropFirst()) })
    var command: [String] = []

    func validate() throws {
        _ = try lockNames(names)
        try checkNote(note)
        if let ttl, ttl.count == 0 { throw ValidationError("with a ttl of zero the lease would end as it begins") }
        if line != nil, !command.isEmpty { throw ValidationError("-c and a command behind -- exclude each other") }
        if line == nil, command.isEmpty { throw ValidationError(missingCommand) }
    }

    private var missingCommand: String {
        guard names.count > 1 else { return "the command is missing: lockctl run <name> … -- <command> …" }
        let words = names.dropFirst().map(\.display).joined(separator: " ")
        return "the command goes behind --: lockctl run \(names[0].display) -- \(words)"
    }

    func run() throws {
        let names = try lockNames(names)
        let command = line.map { ["/bin/sh", "-c", "--", $0] } ?? command
        try reportingFailures {
            try commandOptions.begin()
            let (connection, welcome) = try daemon.begin()
            let lifeline = try Lifeline()
            let note = CommandUnderLease.note(note ?? line, for: command)
            var terms = options.terms(for: names, note: note, of: welcome)
            (terms.timeToLive, terms.binding) = (ttl, .pipe)
            let token = try options.acquire(terms, with: lifeline.leaseEnd, on: connection)
            try daemon.passOn()
            var work = try CommandUnderLease(
                on: connection,
                names: names,
                token: token,
                lifeline: lifeline,
                policy: commandOptions.policy,
                reports: options.report(on: names)
            )
            let code = CommandUnderLease.codeOfFailure(notAcquired: Int32(options.conflictExitCode))
            throw ExitCode(try work.run(command, codeOfFailure: code))
        }
    }
}
