import CLinux
import Glibc
import LockdClient
import LockdModel

/// The processes that the command of this process has led to: its descendants.
///
/// None of them gets away while this process lives: it is their subreaper, so whoever loses its parent becomes its child.
struct ProcessTree {
    /// A process, and not another one that has its number later.
    struct Identity: Hashable {
        let process: pid_t
        /// When it started, in the kernel's ticks.
        let start: UInt64
    }

    struct Member {
        let identity: Identity
        let parent: pid_t
        let command: String
        /// Whether it has been stopped, so that it starts nobody.
        let standsStill: Bool

        var process: pid_t { identity.process }

        /// `sleep (pid 12)`.
        var display: String { "\(command) (pid \(process))" }
    }

    /// The descendants that this process had before there was a command; a shell that becomes lockctl by exec may leave it some.
    private let others: Set<Identity>
    /// With what is looked about, even if the command has been given all other descriptors that there may be.
    private var reserve: [CInt]

    /// For a command that is to be started after this.
    init() throws {
        // To look about takes a while, and hardly anybody has children to begin with.
        let processes = clinux_has_children() ? Self.processes() : []
        others = Set(Self.descendants(among: processes).map(\.identity))
        reserve = (0..<2).map { _ in clinux_open("/dev/null", O_RDONLY | O_CLOEXEC, 0) }
        if reserve.contains(-1) { throw SystemFailure("open") }
    }

    /// Those that are there now, without those that are no more than their exit codes; parents before their children.
    mutating func members() -> [Member] {
        reserve.forEach { close($0) }
        reserve = []
        return Self.descendants(among: Self.processes(), without: others)
    }

    /// Those of this process, without the `others` and theirs; parents before their children.
    private static func descendants(among processes: [Member], without others: Set<Identity> = []) -> [Member] {
        let children = Dictionary(grouping: processes.filter { !others.contains($0.identity) }, by: \.parent)
        var found: [Member] = []
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
    mutating func signal(_ number: CInt) -> [Member] {
        let members = standStill()
        let spared = members.filter { !Self.signal(number, $0) }
        // Children first, so that no parent, a shell for instance, sees one that stands still.
        for member in members.reversed() { Self.signal(SIGCONT, member) }
        return spared
    }

    /// Stops all of them, and returns them once nobody is left who could start another one.
    private mutating func standStill() -> [Member] {
        let deadline = MonotonicInstant.now() + Self.patience
        var told: Set<Identity> = []
        var spared: Set<Identity> = []
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
    private static func signal(_ number: CInt, _ member: Member) -> Bool {
        let pidfd = clinux_pidfd_open(member.process)
        guard pidfd != -1 else { return true }
        defer { close(pidfd) }
        guard read(member.process)?.identity == member.identity else { return true }
        return clinux_pidfd_send_signal(pidfd, number) == 0 || errno != EPERM
    }

    private static func processes() -> [Member] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var found: [Member] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let process = pid_t(name), let member = read(process) { found.append(member) }
        }
        return found
    }

    /// What `/proc/PID/stat` says of a process; `nil` of one that is not, or is no more than its exit code.
    private static func read(_ process: pid_t) -> Member? {
        let file = clinux_open("/proc/\(process)/stat", O_RDONLY | O_CLOEXEC, 0)
        guard file != -1 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let line = bytes[..<count]
        // The second word is the command, in parentheses, which can be any bytes, parentheses among them.
        guard let open = line.firstIndex(of: UInt8(ascii: "(")), let close = line.lastIndex(of: UInt8(ascii: ")")),
            open < close
        else { return nil }
        // The third word, the state, is the first of these.
        let words = line[(close + 1)...].split(separator: UInt8(ascii: " "), maxSplits: 20).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count > 19, let parent = pid_t(words[1]), let threads = Int(words[17]),
            let start = UInt64(words[19])
        else { return nil }
        // Where the first thread has ended, others may go on.
        if ["Z", "X"].contains(words[0]), threads <= 1 { return nil }
        return Member(
            identity: Identity(process: process, start: start),
            parent: parent,
            command: Readable.text(Array(line[(open + 1)..<close])),
            standsStill: ["T", "t"].contains(words[0])
        )
    }
}
