import CLinux
import Glibc
import LockdClient
import LockdModel

/// The processes that the command of this process has led to: its descendants.
///
/// None of them gets away while this process lives: it is their subreaper, so whoever loses its parent becomes its child.
struct ProcessTree {
    /// The descendants that this process had before there was a command; a shell that becomes lockctl by exec may leave it some.
    private let others: Set<RunningProcess.Identity>
    /// With what is looked about, even if the command has been given all other descriptors that there may be.
    private var reserve: [CInt]

    /// For a command that is to be started after this.
    init() throws {
        // To look about takes a while, and hardly anybody has children to begin with.
        let processes = clinux_has_children() ? RunningProcess.all() : []
        others = Set(Self.descendants(among: processes).map(\.identity))
        reserve = (0..<2).map { _ in clinux_open("/dev/null", O_RDONLY | O_CLOEXEC, 0) }
        if reserve.contains(-1) { throw SystemFailure("open") }
    }

    /// Those that are there now, without those that are no more than their exit codes; parents before their children.
    mutating func members() -> [RunningProcess] {
        reserve.forEach { close($0) }
        reserve = []
        return Self.descendants(among: RunningProcess.all(), without: others)
    }

    /// Those of this process, without the `others` and theirs; parents before their children.
    private static func descendants(among processes: [RunningProcess], without others: Set<RunningProcess.Identity> = []) -> [RunningProcess] {
        let children = Dictionary(grouping: processes.filter { !others.contains($0.identity) }, by: \.parent)
        var found: [RunningProcess] = []
        var next = children[getpid()] ?? []
        while let member = next.popLast() {
            found.append(member)
            next += children[member.process] ?? []
        }
        return found
    }

    /// Whether none is left, though this process has children: those that it had before.
    mutating func isGone() -> Bool { !others.isEmpty && members().isEmpty }

    /// Sends a signal to all that are there at one moment, and lets them go on; returns those that are of another user, and did not get it.
    ///
    /// Nobody is forgotten who is born while others are told, and nobody is told who is born as an answer to it, such as a program that a trap cleans up with.
    @discardableResult
    mutating func signal(_ number: CInt) -> [RunningProcess] {
        let members = standStill()
        let spared = members.filter { !Self.signal(number, $0) }
        // Children first, so that no parent, a shell for instance, sees one that stands still.
        for member in members.reversed() { Self.signal(SIGCONT, member) }
        return spared
    }

    /// Stops all of them, and returns them once nobody is left who could start another one.
    private mutating func standStill() -> [RunningProcess] {
        let deadline = MonotonicInstant.now() + Self.patience
        var told: Set<RunningProcess.Identity> = []
        var spared: Set<RunningProcess.Identity> = []
        while true {
            let members = members()
            for member in members where told.insert(member.identity).inserted {
                if !Self.signal(SIGSTOP, member) { spared.insert(member.identity) }
            }
            let areStill = members.allSatisfy { $0.standsStill || spared.contains($0.identity) }
            if areStill || deadline <= .now() { return members }
            poll(nil, 0, 1)
        }
    }

    /// How long to wait for those that cannot be stopped at once, because they wait for a disk, or for what they start to begin.
    private static let patience = Milliseconds(50)

    @discardableResult
    private static func signal(_ number: CInt, _ member: RunningProcess) -> Bool {
        let pidfd = clinux_pidfd_open(member.process)
        guard pidfd != -1 else { return true }
        defer { close(pidfd) }
        guard RunningProcess(member.process)?.identity == member.identity else { return true }
        return clinux_pidfd_send_signal(pidfd, number) == 0 || errno != EPERM
    }
}
