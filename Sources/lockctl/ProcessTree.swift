import CLinux
import Glibc
import LockdModel

/// The descendants of this process.
///
/// None of them gets away while this process lives: it is their subreaper, so whoever loses its parent becomes its child.
struct ProcessTree {
    struct Member {
        let process: pid_t
        let parent: pid_t
        let command: String

        /// `sleep (pid 12)`.
        var display: String { "\(command) (pid \(process))" }
    }

    /// Those that are there now, without those that have ended and were not waited for.
    static func members() -> [Member] {
        let processes = Self.processes()
        let children = Dictionary(grouping: processes, by: \.parent)
        var found: [Member] = []
        var next = children[getpid()] ?? []
        while let member = next.popLast() {
            found.append(member)
            next += children[member.process] ?? []
        }
        return found.sorted { $0.process < $1.process }
    }

    /// Sends a signal to all of them; returns those that are none of this user's, and did not get it.
    @discardableResult
    static func signal(_ number: CInt) -> [Member] { members().filter { !signal(number, $0) } }

    private static func signal(_ number: CInt, _ member: Member) -> Bool {
        let pidfd = clinux_pidfd_open(member.process)
        guard pidfd != -1 else { return true }
        defer { close(pidfd) }
        // Still the same one: another process of that number would have another parent, as a rule, and this process has no other descendants.
        guard let now = read(member.process), now.parent == member.parent else { return true }
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
        // The parent is the fourth word, and the command, of 15 bytes at most, the second.
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let line = bytes[..<count]
        // The command can be any bytes, parentheses among them.
        guard let open = line.firstIndex(of: UInt8(ascii: "(")), let close = line.lastIndex(of: UInt8(ascii: ")")),
            open < close
        else { return nil }
        let words = line[(close + 1)...].split(separator: UInt8(ascii: " "))
        guard words.count >= 2, words[0] != Array("Z".utf8)[...], words[0] != Array("X".utf8)[...],
            let parent = pid_t(String(decoding: words[1], as: UTF8.self))
        else { return nil }
        return Member(process: process, parent: parent, command: Readable.text(Array(line[(open + 1)..<close])))
    }
}
