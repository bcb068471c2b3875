import ArgumentParser
import CLinux
import Glibc
import LockdModel

/// ``CommandPolicy``, from the command line.
struct CommandOptions: ParsableArguments {
    @Flag(help: "End the lease with the command itself, whatever it leaves behind.")
    var leaderOnly = false

    @Flag(
        help: "End when the command ends; what it leaves behind keeps the lease."
    )
    var leaveBehind = false

    @Option(
        help: ArgumentHelp(
            "How long after TERM what is left of the command gets KILL (default: \(CommandPolicy().grace)).",
            valueName: "duration"
        ),
        transform: duration
    )
    var grace = CommandPolicy().grace

    @Option(
        help: ArgumentHelp(
            "When the lease is lost: terminate the command and all it has started, send the command a signal, or do nothing.",
            valueName: "terminate|signal:SIG|ignore"
        )
    )
    var onLoss = CommandPolicy().onLoss

    @Flag(help: "End the command and all it has started when the process ends that started lockctl, as by TERM.")
    var dieWithParent = false

    /// To be called before the lease is asked for: who waits is to end as well.
    ///
    /// - Throws: ``SystemFailure``.
    func begin() throws {
        if dieWithParent, clinux_die_with_parent(SIGTERM) != 0 { throw SystemFailure("prctl") }
    }

    var policy: CommandPolicy {
        CommandPolicy(leaderOnly: leaderOnly, leaveBehind: leaveBehind, grace: grace, onLoss: onLoss)
    }

    func validate() throws {
        if leaderOnly && leaveBehind {
            throw ValidationError("--leader-only and --leave-behind exclude each other")
        }
    }
}

/// How a command goes along with its lease.
struct CommandPolicy: Hashable {
    /// Whether the lease ends with the command itself, whatever it leaves behind.
    var leaderOnly = false
    /// Whether this process ends with the command, though others keep the lease.
    var leaveBehind = false
    /// How long after TERM those that are left get KILL.
    var grace = Milliseconds.seconds(10)
    var onLoss = OnLoss.terminate
}

/// What a command is done to when its lease is lost.
enum OnLoss: Hashable, ExpressibleByArgument, CustomStringConvertible {
    case terminate
    case signal(CInt)
    case ignore

    init?(argument: String) {
        switch argument {
        case "terminate": self = .terminate
        case "ignore": self = .ignore
        default:
            guard argument.hasPrefix("signal:"), let number = SignalName.number(of: String(argument.dropFirst(7)))
            else {
                return nil
            }
            self = .signal(number)
        }
    }

    var description: String {
        switch self {
        case .terminate: "terminate"
        case .signal(let number): "signal:\(SignalName.name(of: number))"
        case .ignore: "ignore"
        }
    }

    var defaultValueDescription: String { description }

    static var defaultCompletionKind: CompletionKind {
        // For zsh a description follows a colon.
        let colon = CompletionShell.requesting == .zsh ? "\\:" : ":"
        return .list(["terminate", "ignore"] + SignalName.names.map { "signal\(colon)\($0)" })
    }
}

/// The names of signals, as kill(1) has them.
enum SignalName {
    private static let numbers: KeyValuePairs<String, CInt> = [
        "HUP": SIGHUP, "INT": SIGINT, "QUIT": SIGQUIT, "ABRT": SIGABRT, "KILL": SIGKILL, "USR1": SIGUSR1,
        "USR2": SIGUSR2, "ALRM": SIGALRM, "TERM": SIGTERM, "CONT": SIGCONT, "STOP": SIGSTOP, "TSTP": SIGTSTP,
        "WINCH": SIGWINCH,
    ]

    static var names: [String] { numbers.map(\.key) }

    /// The number of `TERM`, `SIGTERM` or `15`.
    static func number(of name: String) -> CInt? {
        if let number = CInt(name) { return (1...64).contains(number) ? number : nil }
        let upper = name.uppercased()
        let short = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
        return numbers.first { $0.key == short }?.value
    }

    static func name(of number: CInt) -> String { numbers.first { $0.value == number }?.key ?? "\(number)" }
}
