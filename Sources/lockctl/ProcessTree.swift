import CLinux
import Glibc
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
    private static func descendants(
        among processes: [RunningProcess],
        without others: Set<RunningProcess.Identity> = []
    ) -> [RunningProcess] {
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

    /// Sends TERM to all that are there, and has those go on that stand still; a lockctl among them tells those that are under its own lease.
    ///
    /// Who is born while others are told is told as well, but not who is born to somebody who has been told: that is how he answers, by a program that cleans
    /// up for instance. Nobody is stopped meanwhile, which would make that exact: whoever waits for a process of another user, as su does, would stop for good,
    /// and so would all of them if this process were killed at that moment.
    ///
    /// - Parameter token: that of the lease of this tree, by which those are known that are not under another one.
    mutating func terminate(under token: FencingToken) {
        let start = RunningProcess.currentTick
        // The number of the last process there was before somebody was told; by his own.
        var lastBefore: [pid_t: pid_t] = [:]
        var last: pid_t = 0
        var spared: Set<pid_t> = []
        var others: Set<pid_t> = []
        forEachNew { process, isFirstLook in
            let parent = process.parent
            let isOlder = isFirstLook || process.identity.start < start || process.process <= lastBefore[parent] ?? last
            let isOfOther = others.contains(parent) && process.token != token
            if spared.contains(parent) || isOfOther || !isOlder {
                spared.insert(process.process)
                return
            }
            // Before it is told, and may be gone.
            let tellsItsOwn = process.isSameProgram && !process.ignoresTERM
            last = RunningProcess.lastNumber
            lastBefore[process.process] = last
            if process.isSent(SIGTERM), tellsItsOwn { others.insert(process.process) }
            if process.standsStill { process.isSent(SIGCONT) }
        }
    }

    /// Sends KILL to all, also to those that are born meanwhile; returns those that are of another user, and did not get it.
    mutating func kill() -> [RunningProcess] {
        var spared: [RunningProcess] = []
        forEachNew { process, _ in
            if !process.isSent(SIGKILL) { spared.append(process) }
        }
        return spared
    }

    /// Calls `body` once with each of those that are there, parents before their children, and then with those that were not at the look before; and whether
    /// that was the first look.
    private mutating func forEachNew(_ body: (RunningProcess, Bool) -> Void) {
        var seen: Set<RunningProcess.Identity> = []
        for look in 0..<Self.looks {
            let new = members().filter { seen.insert($0.identity).inserted }
            if new.isEmpty { return }
            for process in new { body(process, look == 0) }
        }
    }

    /// How often it is looked for those that were born meanwhile.
    private static let looks = 20
}
