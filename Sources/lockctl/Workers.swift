import Glibc
import LockdModel
import LockdWire

/// Who is at work under leases that are bound to a pipe, which may be others than the processes that acquired them, and be there still when these are gone.
///
/// `lockctl run` gives its command the token, as a variable that whatever it starts inherits. The environment can be read of the own user's processes only, or
/// by root, so what is not found may be there nevertheless; and what is found need not hold the lease: it may have closed the pipe.
struct Workers {
    private let daemon: ProcessID
    /// Looked for once, for all leases.
    private lazy var byToken = Dictionary(grouping: RunningProcess.all(), by: \.token)
    /// Where a number means another process than it means to the daemon, nothing can be said.
    private lazy var areNumbersOurs = RunningProcess(pid_t(daemon.value))?.command == "lockd"

    /// - Parameter daemon: the daemon's process, as it says itself.
    init(daemon: ProcessID) { self.daemon = daemon }

    /// What is known of those of one lease.
    struct Crew {
        let processes: [RunningProcess]
        /// Whether the process that acquired the lease has ended.
        let isHolderGone: Bool
    }

    /// Those of a lease; `nil` if it is not bound to a pipe.
    mutating func crew(of lease: Reply.LeaseLine) -> Crew? {
        guard lease.binding == .pipe, areNumbersOurs else { return nil }
        let processes = (byToken[lease.token] ?? []).sorted { $0.process < $1.process }
        let holder = lease.peer.process.map { pid_t($0.value) } ?? 0
        return Crew(processes: processes, isHolderGone: holder > 0 && kill(holder, 0) == -1 && errno == ESRCH)
    }
}

extension Workers.Crew {
    /// How many are named one by one.
    private static let nameLimit = 8

    /// `sh (pid 12), sleep (pid 13) and 4 more`; `nil` if none was found.
    var display: String? {
        if processes.isEmpty { return nil }
        let named = processes.prefix(Self.nameLimit).map(\.display).joined(separator: ", ")
        let rest = processes.count - Self.nameLimit
        return rest > 0 ? "\(named) and \(rest) more" : named
    }

    /// If the holder is gone: that it is, and what is so with those that it has started; they are named.
    func bereavement(of peer: Reply.Peer, _ what: String) -> String? {
        guard isHolderGone else { return nil }
        let command = peer.command?.display ?? "the process that acquired it"
        return "\(command) is gone; \(what)" + (display.map { ": \($0)" } ?? "")
    }
}
