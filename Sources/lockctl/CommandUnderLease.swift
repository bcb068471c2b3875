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
    private let terminal = ControllingTerminal()
    private var signals: CInt = -1
    private var command: pid_t = -1
    private var stoppedBy: CInt?
    /// That of the command, once it has ended.
    private var exitCode: Int32?
    private var hasChildren = true
    private var isTreeGone = false
    private var isLost = false
    private var phase = Phase.running
    /// When to say what of the tree is left, though the command has ended.
    private var sayAt: MonotonicInstant?

    private enum Phase: Equatable {
        case running
        /// Everybody was sent TERM, and gets KILL then.
        case terminating(MonotonicInstant)
        case killing
    }

    /// How long to wait before another look for those that are to be killed, if none of them is heard of.
    private static let pause = Milliseconds(100)

    /// How long the command may be gone before it is said what it has left behind.
    private static let patience = Milliseconds(1000)

    /// What others see about the lease: `note`, or else the command's name.
    static func note(_ note: String?, for command: [String]) -> Text? {
        let program = command[0].split(separator: "/").last.map(String.init) ?? command[0]
        return Text(cutting: note ?? program, limit: Text.longLimit)
    }

    /// - Parameter lifeline: what the lease is bound to.
    init(
        on connection: ResumingConnection,
        names: LockNames,
        token: FencingToken,
        lifeline: Lifeline,
        policy: CommandPolicy,
        reports: LeaseReport
    ) {
        (self.connection, self.names, self.token) = (connection, names, token)
        (self.lifeline, self.policy, self.reports) = (lifeline, policy, reports)
    }

    /// Runs the command, and returns the exit code for this process when it is over.
    ///
    /// - Parameter codeOfFailure: the exit code if the command cannot be run, by the error number of that.
    mutating func run(
        _ arguments: [String],
        codeOfFailure: (CInt) -> Int32 = { $0 == ENOENT ? 127 : 126 }
    ) throws -> Int32 {
        setenv("LOCKD_NAME", String(decoding: names.first.bytes, as: UTF8.self), 1)
        setenv("LOCKD_NAMES", "\(names)", 1)
        setenv("LOCKD_TOKEN", "\(token)", 1)
        // Blocked from here on: a signal between the grant and the start of the command is passed on, not lost.
        var formerSignals = sigset_t()
        signals = clinux_forwarded_signalfd(&formerSignals)
        guard signals != -1 else { throw SystemFailure("signalfd") }
        guard clinux_become_subreaper() == 0 else { throw SystemFailure("prctl") }
        let error = spawn(arguments, formerSignals)
        guard error == 0 else {
            release()
            complain("cannot run \(arguments[0]): \(String(cString: strerror(error)))")
            return codeOfFailure(error)
        }
        lifeline.leaveToTree()
        while !isOver { try wait() }
        if phase != .running { terminal?.restore() }
        if isTreeGone || policy.leaderOnly { release() }
        return exitCode ?? 0
    }

    private mutating func spawn(_ command: [String], _ signals: sigset_t) -> CInt {
        var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
        arguments.append(nil)
        defer { arguments.forEach { free($0) } }
        var signals = signals
        let file = command[0]
        // The command alone counts, so a process that watches nothing else keeps the lease for it, should this one be killed.
        if policy.leaderOnly {
            return clinux_spawn_kept(&self.command, file, arguments, &signals, lifeline.leaseHold)
        }
        let inherited = lifeline.inherited
        return clinux_spawn(&self.command, file, arguments, environ, &signals, inherited, inherited.count)
    }

    private var isOver: Bool {
        if exitCode == nil { return false }
        return switch phase {
        // Those that have closed the pipe do not hold the lease, but they are to end as well.
        case .terminating, .killing: !hasChildren
        case .running: isTreeGone || policy.leaderOnly || policy.leaveBehind
        }
    }

    /// Waits for something to happen, and does what is to be done about it.
    private mutating func wait() throws {
        var descriptors = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: isTreeGone || policy.leaderOnly ? -1 : lifeline.treeEnd, events: 0, revents: 0),
            // While there is no daemon, there is no descriptor, but a next attempt.
            pollfd(fd: isLost ? -1 : connection.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        if poll(&descriptors, 3, patience()) == -1 && errno != EINTR { throw SystemFailure("poll") }
        if descriptors[1].revents != 0 { isTreeGone = true }
        if descriptors[0].revents != 0 { readSignals() }
        if !isLost, let loss = try readLoss() { respond(to: loss) }
        actInTime()
    }

    /// In the unit of poll(2).
    private func patience() -> CInt {
        var limits = isLost ? [] : [connection.patience].filter { $0 >= 0 }
        let now = MonotonicInstant.now()
        func left(until instant: MonotonicInstant) -> CInt {
            // What is not a whole millisecond is waited for as well, or the loop would turn idly.
            CInt(clamping: (max(0, instant.nanoseconds - now.nanoseconds) + 999_999) / 1_000_000)
        }
        switch phase {
        case .running: if let sayAt { limits.append(left(until: sayAt)) }
        case .terminating(let killAt): limits.append(left(until: killAt))
        case .killing: limits.append(CInt(Self.pause.count))
        }
        return limits.min() ?? -1
    }

    private mutating func actInTime() {
        switch phase {
        case .running:
            guard let instant = sayAt, instant <= .now() else { return }
            sayAt = nil
            reports.lingers(ProcessTree.members())
        case .terminating(let killAt):
            if killAt <= .now() { phase = .killing }
            if phase == .killing { killAll() }
        case .killing: killAll()
        }
    }

    /// Somebody may be born while others are killed, so this is repeated until nobody is left.
    private mutating func killAll() {
        let spared = ProcessTree.signal(SIGKILL)
        guard !spared.isEmpty, spared.count == ProcessTree.members().count else { return }
        // They have become somebody else's, by way of sudo for instance. The lease stays with them.
        complain("cannot kill \(spared.map(\.display).joined(separator: ", ")): of another user")
        hasChildren = false
        exitCode = exitCode ?? 128 + SIGKILL
    }

    private mutating func terminate() {
        guard phase == .running else { return }
        ProcessTree.signal(SIGTERM)
        // Who stands still cannot end.
        ProcessTree.signal(SIGCONT)
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
            case SIGPIPE: break
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
        isFromKernel && !(signal == SIGHUP && getsid(0) == getpid())
    }

    /// A command that has ended cannot be told anything; what it has left behind is ended in its place.
    private mutating func passOn(_ signal: CInt) {
        if exitCode == nil {
            kill(command, signal)
        } else if [SIGHUP, SIGINT, SIGQUIT].contains(signal) {
            terminate()
        }
    }

    private mutating func readChanges() {
        var change = clinux_change()
        while true {
            guard clinux_next_change(&change) == 0 else {
                hasChildren = false
                return
            }
            if change.process == 0 { return }
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
        var tree = pollfd(fd: lifeline.treeEnd, events: 0, revents: 0)
        isTreeGone = poll(&tree, 1, 0) == 1
        sayAt = .now() + Self.patience
    }

    private mutating func commandHasStopped(by signal: CInt) {
        stoppedBy = signal
        terminal?.stop(by: signal)
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
        reports.lost(loss, response: policy.onLoss)
        switch policy.onLoss {
        case .terminate: terminate()
        case .signal(let number): if exitCode == nil { kill(command, number) }
        case .ignore: break
        }
    }

    private func readLoss() throws -> String? {
        do {
            for news in try connection.proceed() {
                if let loss = try loss(in: news) { return loss }
            }
            return nil
        } catch let failure as SystemFailure {
            throw failure
        } catch {
            return "\(error)"
        }
    }

    private func loss(in news: ResumingConnection.News) throws -> String? {
        switch news {
        case .aside(.lost(_, token, .expired)): return "its ttl ran out"
        case .aside(.lost(_, token, .revoked(let user, let process, let why))):
            let who = Reply.Peer(session: nil, process: process, user: user, command: nil).display
            return "revoked by \(who)" + (why.map { ": \($0.display)" } ?? "")
        case .aside(.lostEverything): return "lockd has restarted with a damaged record of what is held"
        case .aside(.watched(.over(_, _, let outcome, token, _, _))): return "it is \(outcome.rawValue)"
        case .forgotten, .aside(.watched(.missed)):
            return try isHeldStill() ? nil : "lockd does not know the lease any more"
        case .welcome, .aside, .answer: return nil
        }
    }

    /// The lease is bound to the pipe, and may be there though the session is not: if this process stood still while lockd restarted, for instance.
    ///
    /// Whether it is lost is told by a watch from then on, because the session that would have been told is no more.
    private func isHeldStill() throws -> Bool {
        // With a ttl this gives it more time once: that is better than to end a command that holds its lease.
        guard case .renewed = try connection.ask(.renew(names.first, token: token, timeToLive: nil)) else {
            return false
        }
        if case .watching = try connection.ask(.watch(prefix: names.first)) { return true }
        complain("lockd does not take another watcher: should the lease be lost, nothing is told")
        return true
    }

    private func release() {
        if isLost { return }
        // Waiting for the answer makes the release visible before the exit. A daemon that restarts is waited for, for two seconds, so that the lease counts as
        // released and not as abandoned.
        _ = try? connection.ask(.release(names.first, token: token))
    }
}

/// A system call that failed.
struct SystemFailure: Error, CustomStringConvertible {
    let description: String

    init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}
