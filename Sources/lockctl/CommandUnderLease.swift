import ArgumentParser
import CLinux
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// A command that runs while a lease is held, with all that it starts.
///
/// This process passes signals on, tells the command of a loss in its way, and stays until the lease is to end. Only its main thread is used.
struct CommandUnderLease {
    private let connection: ResumingConnection
    private let names: LockNames
    private let token: FencingToken
    private let policy: CommandPolicy
    private let reports: LeaseReport
    private var lifeline: Lifeline
    /// What is locked beside the lease; -1: nothing.
    private let file: CInt
    private let terminal = ControllingTerminal()
    private var signals: CInt = -1
    private var command: pid_t = -1
    private var stoppedBy: CInt?
    /// That of the command, once it has ended.
    private var exitCode: Int32?
    private var tree: ProcessTree
    private var hasChildren = true
    /// Whether there is more to be read of the children at once.
    private var hasMoreChanges = false
    private var isTreeGone = false
    private var isLost = false
    private var phase = Phase.running
    /// When to say what of the tree is left, though the command has ended.
    private var sayAt: MonotonicInstant?
    private var hasSaidWhoIsSpared = false

    private enum Phase: Equatable {
        case running
        /// Everybody was sent TERM, and gets KILL then.
        case terminating(MonotonicInstant)
        /// Whoever is left gets KILL, and whoever is born, gets it then.
        case killing(MonotonicInstant)
    }

    /// How long to wait before another look for those that are to be killed.
    private static let pause = Milliseconds(100)

    /// How long the command may be gone before it is said what it has left behind.
    private static let patience = Milliseconds(1000)

    /// What others see about the lease: `note`, or else the command's name.
    static func note(_ note: String?, for command: [String]) -> Text? {
        let program = command[0].split(separator: "/").last.map(String.init) ?? command[0]
        return Text(argument: note ?? program)
    }

    /// The exit code when the command is not run: by the number of the error, 0 if there was no lease to run it under.
    static func codeOfFailure(notAcquired: Int32 = Ending.notAcquired.rawValue) -> (CInt) -> Int32 {
        { $0 == 0 ? notAcquired : areMeansLacking($0) ? Ending.system.rawValue : $0 == ENOENT ? 127 : 126 }
    }

    /// Whether it is not the command that is wrong: there are too many processes or open files, or too little memory.
    static func areMeansLacking(_ error: CInt) -> Bool { [EAGAIN, ENOMEM, ENFILE, EMFILE].contains(error) }

    /// - Parameter lifeline: what the lease is bound to.
    /// - Parameter file: what is unlocked by being closed, before the lease is released; -1: nothing.
    /// - Throws: ``SystemFailure``.
    init(
        on connection: ResumingConnection,
        names: LockNames,
        token: FencingToken,
        lifeline: Lifeline,
        policy: CommandPolicy,
        reports: LeaseReport,
        file: CInt = -1
    ) throws {
        tree = try ProcessTree()
        (self.connection, self.names, self.token) = (connection, names, token)
        (self.lifeline, self.policy, self.reports, self.file) = (lifeline, policy, reports, file)
    }

    /// Runs the command, and returns the exit code for this process when it is over.
    ///
    /// - Parameter codeOfFailure: see ``codeOfFailure(notAcquired:)``.
    mutating func run(_ arguments: [String], codeOfFailure: (CInt) -> Int32) throws -> Int32 {
        RawText.withBytes(of: RawText.string(of: names.first.bytes)) { _ = setenv("LOCKD_NAME", $0, 1) }
        setenv("LOCKD_NAMES", "\(names)", 1)
        setenv("LOCKD_TOKEN", "\(token)", 1)
        // Blocked from here on: a signal between the grant and the start of the command is passed on, not lost.
        var formerSignals = sigset_t()
        signals = clinux_forwarded_signalfd(&formerSignals)
        guard signals != -1 else { throw SystemFailure("signalfd") }
        guard clinux_become_subreaper() == 0 else { throw SystemFailure("prctl") }
        if let loss = readLoss() {
            reports.notAcquired("lost", "the lease on \(names.display) is lost before the command has begun: \(loss)")
            return codeOfFailure(0)
        }
        let error = spawn(arguments, formerSignals)
        guard error == 0 else {
            release()
            complain("cannot run \(Readable.text(arguments[0])): \(String(cString: strerror(error)))")
            return codeOfFailure(error)
        }
        lifeline.leaveToTree()
        while !isOver() { wait() }
        if phase != .running { terminal?.restore() }
        if lifeline.isTreeGone || policy.leaderOnly { release() }
        return exitCode ?? 0
    }

    private mutating func spawn(_ command: [String], _ signals: sigset_t) -> CInt {
        var (signals, process) = (signals, pid_t(-1))
        let inherited = lifeline.inherited
        let error = command.withArguments { words -> CInt in
            guard let file = words[0] else { return ENOENT }
            // The command alone counts, so a process that watches nothing else keeps the lease for it, should this one be killed.
            if policy.leaderOnly { return clinux_spawn_kept(&process, file, words, &signals, lifeline.leaseHold) }
            return clinux_spawn(&process, file, words, &signals, inherited, inherited.count)
        }
        self.command = process
        return error
    }

    private mutating func isOver() -> Bool {
        if exitCode == nil { return false }
        return switch phase {
        // Those that have closed the pipe do not hold the lease, but they are to end as well.
        case .terminating, .killing: !hasChildren || tree.isGone()
        case .running: isTreeGone || policy.leaderOnly || policy.leaveBehind
        }
    }

    /// Waits for something to happen, and does what is to be done about it.
    private mutating func wait() {
        var descriptors = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: isTreeGone || policy.leaderOnly ? -1 : lifeline.treeEnd, events: 0, revents: 0),
            // While there is no daemon, there is no descriptor, but a next attempt.
            pollfd(fd: isLost ? -1 : connection.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        poll(&descriptors, 3, patience())
        if descriptors[1].revents != 0 { isTreeGone = true }
        // None of this waits, so whatever poll said, or if it could not, no harm is done.
        readSignals()
        if hasMoreChanges { readChanges() }
        if !isLost, let loss = readLoss() { respond(to: loss) }
        actInTime()
    }

    /// In the unit of poll(2).
    private func patience() -> CInt {
        if hasMoreChanges { return 0 }
        let limits = [isLost ? -1 : connection.patience, System.milliseconds(until: nextInstant)]
        return limits.filter { $0 >= 0 }.min() ?? -1
    }

    /// When there is something to be done if nothing happens before.
    private var nextInstant: MonotonicInstant? {
        switch phase {
        case .running: sayAt
        case .terminating(let killAt), .killing(let killAt): killAt
        }
    }

    private mutating func actInTime() {
        switch phase {
        case .running:
            guard let instant = sayAt, instant <= .now() else { return }
            sayAt = nil
            reports.lingers(tree.members().sorted { $0.process < $1.process })
        case .terminating(let killAt), .killing(let killAt):
            guard killAt <= .now() else { return }
            killAll()
            phase = .killing(.now() + Self.pause)
        }
    }

    /// Repeated until nobody is left: somebody may be born while others are killed.
    private mutating func killAll() {
        if exitCode == nil { kill(command, SIGKILL) }
        let spared = tree.kill()
        if spared.isEmpty || hasSaidWhoIsSpared { return }
        // They have become another user's, by way of sudo for instance. The lease is held until they end.
        hasSaidWhoIsSpared = true
        complain("waiting for \(spared.map(\.display).joined(separator: ", ")) of another user, which cannot be killed")
    }

    private mutating func terminate() {
        guard phase == .running else { return }
        // Where /proc shows nothing, the command alone can be reached.
        if tree.members().isEmpty, exitCode == nil { kill(command, SIGTERM) }
        tree.terminate(under: token)
        phase = .terminating(.now() + policy.grace)
    }
}

/// What this process is told: by signals.
extension CommandUnderLease {
    private mutating func readSignals() {
        var isFromKernel = false
        while case let signal = clinux_read_signal(signals, &isFromKernel), signal != 0 {
            switch signal {
            case SIGCHLD: readChanges()
            case SIGPIPE, SIGTTOU: break
            case SIGCONT: goOn()
            case SIGTERM: terminate()
            default: if !wasSentToCommand(signal, isFromKernel) { passOn(signal) }
            }
        }
    }

    /// What the terminal sends goes to the whole foreground group, the command included; what a process sends has come here only.
    ///
    /// The exception is the end of the terminal, which only the first process of the session is told, and that may be this one.
    private func wasSentToCommand(_ signal: CInt, _ isFromKernel: Bool) -> Bool {
        guard isFromKernel else { return false }
        // What a shell that is no more has started in the background does not heed the keyboard.
        if exitCode != nil, [SIGINT, SIGQUIT].contains(signal) { return false }
        return !(signal == SIGHUP && getsid(0) == getpid())
    }

    /// A command that has ended cannot be told anything; what it has left behind is ended in its place.
    private mutating func passOn(_ signal: CInt) {
        if exitCode == nil {
            kill(command, signal)
        } else if [SIGHUP, SIGINT, SIGQUIT].contains(signal) {
            terminate()
        }
    }

    /// Not all of very many at once: they may come as fast as they are read, and there is else to do.
    private mutating func readChanges() {
        var change = clinux_change()
        for _ in 0..<4096 {
            hasMoreChanges = false
            guard clinux_next_change(&change) == 0 else {
                hasChildren = false
                return
            }
            if change.process == 0 { return }
            hasMoreChanges = true
            guard change.process == command, exitCode == nil else { continue }
            switch change.what {
            case CLINUX_EXITED: commandHasEnded(with: change.number)
            case CLINUX_KILLED: commandHasEnded(with: 128 + change.number)
            case CLINUX_STOPPED: commandHasStopped(by: change.number)
            default: stoppedBy = nil
            }
        }
    }

    private mutating func commandHasEnded(with code: Int32) {
        exitCode = code
        // Its descriptors were closed before it became known that it has ended.
        isTreeGone = lifeline.isTreeGone
        sayAt = .now() + Self.patience
    }

    private mutating func commandHasStopped(by signal: CInt) {
        stoppedBy = signal
        // Whoever sends SIGSTOP to the command alone does not want this process to stop, which nobody would continue with it. A shell that suspends itself has
        // a group of its own.
        if signal != SIGSTOP || getpgid(command) != getpgrp() { terminal?.stop(by: signal, unlessGoesOn: command) }
    }

    private mutating func goOn() {
        if stoppedBy != nil { terminal?.yield(to: command) }
        stoppedBy = nil
        if exitCode == nil { kill(command, SIGCONT) }
    }
}

/// What this process is told: by lockd.
extension CommandUnderLease {
    private mutating func respond(to loss: String) {
        isLost = true
        // Before it is said, to whoever may not read it.
        switch policy.onLoss {
        case .terminate: terminate()
        case .signal(let number): if exitCode == nil { kill(command, number) }
        case .ignore: break
        }
        reports.lost(loss, response: policy.onLoss)
    }

    private func readLoss() -> String? {
        do {
            return try connection.proceed().lazy.compactMap(loss).first
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

    /// How long to wait for the answer to a release: it makes the release visible before the exit, and lets the lease count as released and not as abandoned.
    private static let patienceOfRelease = Milliseconds.seconds(2)

    private func release() {
        // Whoever has the lease next finds the file unlocked.
        if file != -1 { close(file) }
        if isLost { return }
        _ = try? connection.ask(.release(names.first, token: token), patience: Self.patienceOfRelease)
    }
}

/// A system call that failed.
struct SystemFailure: Error, CustomStringConvertible {
    let description: String

    init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}
