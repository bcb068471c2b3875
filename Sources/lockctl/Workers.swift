import Glibc
import LockdModel
import LockdWire

/// Who is at work under a lease that is bound to a pipe, which may be others than the process that acquired it, and be there still when that is gone.
///
/// `lockctl run` gives its command the token, as a variable that whatever it starts inherits. The environment can be read of the own user's processes only, or
/// by root, so what is not found may be there nevertheless.
struct Workers {
    /// Those that were found.
    let processes: [RunningProcess]
    /// Whether the process that acquired the lease has ended.
    let isHolderGone: Bool

    /// How many are named one by one.
    private static let nameLimit = 8

    /// Those of a lease, if it is bound to a pipe.
    ///
    /// - Parameter daemon: the daemon's process, as it says itself.
    init?(of lease: Reply.LeaseLine, daemon: ProcessID) {
        guard lease.binding == .pipe else { return nil }
        // Where a number means another process than it means to the daemon, nothing can be said.
        guard let server = RunningProcess(pid_t(daemon.value)), server.command == "lockd" else { return nil }
        let variable = "LOCKD_TOKEN=\(lease.token)"
        processes = RunningProcess.all().filter { $0.wasStarted(with: variable) }.sorted { $0.process < $1.process }
        isHolderGone =
            lease.peer.process.map { $0.value > 0 && Glibc.kill(pid_t($0.value), 0) == -1 && errno == ESRCH } ?? false
    }

    /// `sh (pid 12), sleep (pid 13) and 4 more`; `nil` if none was found.
    var display: String? {
        if processes.isEmpty { return nil }
        let named = processes.prefix(Self.nameLimit).map(\.display).joined(separator: ", ")
        let rest = processes.count - Self.nameLimit
        return rest > 0 ? "\(named) and \(rest) more" : named
    }

    /// The command that ends them.
    var kill: String { "kill " + processes.map { "\($0.process)" }.joined(separator: " ") }

    /// If the holder is gone: that it is, and who is not, as the beginning of a sentence that says `what` of those.
    func bereavement(of peer: Reply.Peer, _ what: String) -> String? {
        guard isHolderGone else { return nil }
        let command = peer.command?.display ?? "the process that acquired it"
        return "\(command) is gone; what it has started \(what)" + (display.map { ": \($0)" } ?? "")
    }
}
