import ArgumentParser
import CLinux
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl run`: a command under a lease.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command while holding a lease.",
        usage: """
            lockctl run [-n | -w <duration>] [--shared | --limit <count>] [--max-queue <count>] [--note <text>] \
            [--progress | -q] <name> … -- <command> [<argument> …]
            """,
        discussion: """
            Waits for the lease, runs the command, releases the lease. Several locks are acquired at once, by one lease: nobody holds a part of them. The \
            command finds the first lock in $LOCKD_NAME, all of them, spelled as the protocol does it, with spaces between them, in $LOCKD_NAMES, and the \
            fencing token in $LOCKD_TOKEN. INT, TERM, HUP, QUIT, USR1 and USR2 are passed on to it. If the lease is lost meanwhile, it gets TERM.

            Exit codes:
              that of the command, or 128 plus the number of the signal that ended it
              64   the command line is wrong
              69   lockd cannot be reached
              70   the lease would never be granted: a deadlock
              75   the lease was not acquired
              126  the command cannot be run
              127  the command was not found
            """
    )

    @OptionGroup var daemon: DaemonOptions

    @OptionGroup var options: AcquireOptions

    @Option(
        help: ArgumentHelp("What others see about the lease (default: the command's name).", valueName: "text")
    )
    var note: String?

    @Argument(help: "The locks.", completion: Completing.lockNames, transform: lockName)
    var names: [LockName]

    /// The command and its arguments; see ``Lockctl/prepared(_:)``.
    @Option(name: .customLong("command"), parsing: .remaining, help: .hidden, transform: { String($0.dropFirst()) })
    var command: [String] = []

    func validate() throws {
        _ = try lockNames(names)
        try checkNote(note)
        if command.isEmpty { throw ValidationError("the command is missing: lockctl run <name> … -- <command> …") }
    }

    func run() throws {
        try reportingFailures {
            let names = try lockNames(names)
            let (connection, welcome) = try daemon.begin()
            let note = CommandUnderLease.note(note, for: command)
            let token = try options.acquire(options.terms(for: names, note: note, of: welcome), on: connection)
            let code = try CommandUnderLease(connection: connection, names: names, token: token).run(command)
            throw ExitCode(code)
        }
    }
}

/// A command that runs while this process holds a lease.
struct CommandUnderLease {
    let connection: ResumingConnection
    let names: LockNames
    let token: FencingToken

    /// What others see about the lease: `note`, or else the command's name.
    static func note(_ note: String?, for command: [String]) -> Text? {
        let program = command[0].split(separator: "/").last.map(String.init) ?? command[0]
        return Text(cutting: note ?? program, limit: Text.longLimit)
    }

    /// Runs the command, passes signals on to it, and returns the exit code for this process when it has ended and the lease is released.
    func run(_ command: [String]) throws -> Int32 {
        setenv("LOCKD_NAME", String(decoding: names.first.bytes, as: UTF8.self), 1)
        setenv("LOCKD_NAMES", "\(names)", 1)
        setenv("LOCKD_TOKEN", "\(token)", 1)
        // Blocked from here on: a signal between the grant and the start of the command is passed on, not lost.
        var formerSignals = sigset_t()
        let signals = clinux_forwarded_signalfd(&formerSignals)
        guard signals != -1 else { throw SystemFailure("signalfd") }
        var child = clinux_child()
        let error = spawn(command, &child, formerSignals)
        guard error == 0 else {
            complain("cannot run \(command[0]): \(String(cString: strerror(error)))")
            return error == ENOENT ? 127 : 126
        }
        watch(child, signals)
        let code = exitCode(of: child)
        release()
        return code
    }

    private func spawn(_ command: [String], _ child: inout clinux_child, _ signals: sigset_t) -> CInt {
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        arguments.append(nil)
        defer { arguments.forEach { free($0) } }
        var signals = signals
        return clinux_spawn(&child, command[0], arguments, environ, &signals)
    }

    /// Returns when the child has ended.
    private func watch(_ child: clinux_child, _ signals: CInt) {
        var descriptors = [
            pollfd(fd: child.pidfd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        var isLost = false
        while true {
            // While there is no daemon, there is no descriptor, but a next attempt.
            descriptors[2].fd = isLost ? -1 : connection.descriptor
            if poll(&descriptors, 3, isLost ? -1 : connection.patience) == -1 { continue }
            if descriptors[0].revents != 0 { return }
            if descriptors[1].revents != 0 { passOn(signals, to: child) }
            if !isLost, let loss = readLoss() {
                complain("the lease on \(names.display) is lost: \(loss); sending TERM to the command")
                clinux_pidfd_send_signal(child.pidfd, SIGTERM)
                isLost = true
            }
        }
    }

    /// What the terminal sends has gone to the whole foreground group, the child included; what a process sends has come here only.
    private func passOn(_ signals: CInt, to child: clinux_child) {
        var isFromTerminal = false
        while case let signal = clinux_read_signal(signals, &isFromTerminal), signal != 0 {
            if !isFromTerminal { clinux_pidfd_send_signal(child.pidfd, signal) }
        }
    }

    private func readLoss() -> String? {
        do {
            return try connection.proceed().compactMap(loss).first
        } catch {
            return "\(error)"
        }
    }

    private func loss(in news: ResumingConnection.News) -> String? {
        switch news {
        case .aside(.lost(_, token, .expired)): return "its ttl ran out"
        case .aside(.lost(_, token, .revoked(let user, let process, let why))):
            let who = Reply.Peer(session: nil, process: process, user: user, command: nil).display
            return "revoked by \(who)" + (why.map { ": \($0.display)" } ?? "")
        case .aside(.lostEverything): return "lockd has restarted with a damaged record of what is held"
        case .forgotten: return "lockd does not know the session any more"
        case .welcome, .aside, .answer: return nil
        }
    }

    private func exitCode(of child: clinux_child) -> Int32 {
        var status: CInt = 0
        while waitpid(child.process, &status, 0) == -1 && errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }

    private func release() {
        // Whatever is answered, this process ends now and its lease with it; waiting for the answer makes the release visible before the exit. A daemon that
        // restarts is waited for, for two seconds, so that the lease counts as released and not as abandoned.
        _ = try? connection.ask(.release(names.first, token: token))
    }
}

/// A system call that failed.
struct SystemFailure: Error, CustomStringConvertible {
    let description: String

    init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}
