import ArgumentParser
import CLinux
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl flock`: flock(1), in order of arrival.
struct Flock: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "flock",
        _superCommandName: Lockctl.name,
        abstract: "Take the place of flock(1): a lease, and then the file's lock as well.",
        usage: """
            lockctl flock [-s | -x] [-n | -w <seconds>] [-E <code>] [-o | -F] [-u] [--fcntl] [--verbose] <file> <command> [<argument> …]
            lockctl flock [<option> …] <file> -c <line>
            """,
        discussion: Help.text(
            """
            Takes the command line of util-linux' flock(1), so that a script can go on as it is after  alias flock='lockctl flock', or with a link of the name \
            flock to lockctl. Whoever waits is granted the lock in order of arrival, is seen by lockctl ls, and is told on a terminal who holds it.

            It acquires the lease that is named by the file's canonical path, and then locks the file itself, so that whoever uses the real flock is excluded, too.

            The command keeps the lock, and whatever it leaves behind does, until the last of them has ended; with -o only the command itself. The form for a \
            descriptor of the shell, flock 9, is refused with the line to write instead.

            Options:
              -s, --shared               share the lock with others that are shared too
              -x, -e, --exclusive        do not (default)
              -n, --nb, --nonblock       do not wait
              -w, --wait, --timeout <s>  wait so many seconds at the most: 5, .5
              -E, --conflict-exit-code <code>
                                         the exit code instead of 1
              -c, --command <line>       behind the file: a line for $SHELL
              -o, --close                end the lock with the command
              -F, --no-fork              the command takes the place of lockctl
              -u, --unlock               run the command without the lock
              --fcntl, --start <bytes>, --length <bytes>
                                         lock bytes of the file with fcntl(2)
              --fd <number>              lock an open descriptor instead of a file
              --verbose                  say how long the lock took, and who has it
              -V, --version; -h, --help

            Exit codes are those of flock(1): 1, or that of -E, if the lock was not acquired, 64 for a wrong command line, 66 if the file cannot be opened, 69 if the \
            command cannot be run, or lockd not reached.
            """,
            examples: [
                "lockctl flock /run/backup.lock ./backup.sh": "wait, lock, run",
                "lockctl flock -n /run/backup.lock ./backup.sh": "only if it is free",
                "lockctl flock -w 5 db.lock -c 'cat *.sql >db'": "a line for the shell",
            ]
        )
    )

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var words: [String] = []

    func run() throws {
        try reportingFailures {
            do {
                let arguments = try FlockArguments(words)
                switch arguments.purpose {
                case .help: print(Lockctl.helpMessage(for: Flock.self))
                case .version: print("flock from lockctl \(LockdVersion.current)")
                case .descriptor(let number): try Self.refuse(number, arguments)
                case .run(let target, let command): try run(command, target, arguments)
                }
            } catch let problem as FlockArguments.Problem {
                if !problem.description.isEmpty { complain("\(problem)") }
                complain("try lockctl flock --help")
                throw ExitCode(64)
            } catch let problem as FileLock.Problem {
                complain("\(problem)")
                throw ExitCode(problem.exitCode)
            }
        }
    }

    private func run(
        _ command: [String],
        _ target: FlockArguments.Target,
        _ arguments: FlockArguments
    ) throws {
        let started = MonotonicInstant.now()
        var file = try FileLock(target, arguments)
        // What is not locked needs no lease.
        let lease = arguments.unlocks ? nil : try acquire(try file.name(), command, arguments)
        let deadline = arguments.patience.map { started + $0 }
        let path = Readable.text(file.path)
        let isLocked = try file.lock(until: deadline) {
            lease?.say("\(path) is locked by somebody who has not asked lockd; waiting for that, too")
        }
        guard isLocked else {
            lease?.say("\(path) is locked by somebody who has not asked lockd")
            lease?.release()
            throw ExitCode(arguments.conflictExitCode)
        }
        if arguments.isVerbose {
            let taken = MonotonicInstant.now().nanoseconds - started.nanoseconds
            let fraction = String(taken % 1_000_000_000 / 1000 + 1_000_000).dropFirst()
            let took = "flock: getting lock took \(taken / 1_000_000_000).\(fraction) seconds\n"
            write(took + "flock: executing \(Readable.text(command[0]))\n", to: STDOUT_FILENO)
        }
        guard let lease else { throw ExitCode(try Self.replace(by: command, keeping: [file.descriptor])) }
        throw ExitCode(try lease.run(command, file.descriptor, arguments))
    }

    private func acquire(_ name: LockName, _ command: [String], _ arguments: FlockArguments) throws -> FlockLease {
        let names = LockNames(name)
        // In scripts it is as silent as flock(1).
        let form: ReportForm = Terminal.canRewrite(STDERR_FILENO) ? .line : arguments.isVerbose ? .lines : .silent
        let (connection, welcome) = try DaemonOptions.fromEnvironment().begin()
        let lifeline = try Lifeline()
        let terms = AcquireTerms(
            names: names,
            wait: arguments.patience.map { $0.count == 0 ? .none : .after($0) } ?? .never,
            holderLimit: arguments.isShared ? .shared : .exclusive,
            note: CommandUnderLease.note(nil, for: command),
            progress: form != .silent && welcome.features.contains("progress") ? .seconds(1) : nil,
            binding: .pipe
        )
        let report = LeaseReport(names: names, form: form)
        let request = LeaseRequest(terms: terms, report: report, notAcquired: ExitCode(arguments.conflictExitCode))
        let token = try request.grant(with: lifeline.leaseEnd, on: connection)
        return FlockLease(connection: connection, lifeline: lifeline, token: token, report: report)
    }

    /// Runs the command in place of this process; returns the exit code if it cannot be run.
    static func replace(by command: [String], keeping descriptors: [CInt]) throws -> Int32 {
        for descriptor in descriptors where fcntl(descriptor, F_SETFD, 0) == -1 { throw SystemFailure("fcntl") }
        let error = command.withArguments { words in words[0].map { clinux_execute($0, words) } ?? ENOENT }
        complain("cannot run \(Readable.text(command[0])): \(String(cString: strerror(error)))")
        return codeOfFailure(error)
    }

    static func codeOfFailure(_ error: CInt) -> Int32 { CommandUnderLease.areMeansLacking(error) ? 71 : 69 }

    /// A lease ends with a process or a pipe, and not with a descriptor of a file.
    private static func refuse(_ descriptor: CInt, _ arguments: FlockArguments) throws {
        guard let path = FileLock.path(of: descriptor) else {
            throw FlockArguments.Problem("\(descriptor) is no descriptor that is open")
        }
        let name = path.shellWord
        complain("a lease cannot be held by descriptor \(descriptor), only by the shell itself; write instead")
        if arguments.unlocks {
            complain("  lockctl release \(name) --token \"$token\"")
        } else {
            // A lock of fcntl(2) is another one, which a lease alone does not stand for.
            if arguments.range == nil {
                var options = arguments.isShared ? " -s" : ""
                if let patience = arguments.patience { options += patience.count == 0 ? " -n" : " -w \(patience)" }
                complain("  token=$(lockctl acquire\(options) --pid $$ \(name)) || exit \(arguments.conflictExitCode)")
                complain("or, to keep out also those who use flock(1) itself, have the commands run under it:")
            }
            let words = ["lockctl", "flock"] + arguments.options.map(\.shellWord) + [name, "-c", "'…'"]
            complain("  " + words.joined(separator: " "))
        }
        throw ExitCode(64)
    }
}

/// The lease on a file, for as long as a command runs.
private struct FlockLease {
    let connection: ResumingConnection
    let lifeline: Lifeline
    let token: FencingToken
    let report: LeaseReport

    func say(_ message: String) {
        if report.form != .silent { complain(message) }
    }

    func release() { _ = try? connection.ask(.release(report.names.first, token: token)) }

    func run(_ command: [String], _ file: CInt, _ arguments: FlockArguments) throws -> Int32 {
        if arguments.replaces {
            // The command keeps the lease by the pipe, and nobody is left to release it, unless there is none.
            let code = try Flock.replace(by: command, keeping: [file, lifeline.leaseHold])
            close(file)
            release()
            return code
        }
        if fcntl(file, F_SETFD, arguments.closes ? FD_CLOEXEC : 0) == -1 { throw SystemFailure("fcntl") }
        var work = try CommandUnderLease(
            on: connection,
            names: report.names,
            token: token,
            lifeline: lifeline,
            policy: CommandPolicy(leaderOnly: arguments.closes, leaveBehind: true),
            reports: report,
            file: file
        )
        return try work.run(command) { $0 == 0 ? arguments.conflictExitCode : Flock.codeOfFailure($0) }
    }
}
