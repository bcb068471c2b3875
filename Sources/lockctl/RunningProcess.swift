import CLinux
import Glibc
import LockdModel

/// A process of this machine, as `/proc` shows it.
struct RunningProcess {
    /// A process, and not another one that has its number later.
    struct Identity: Hashable {
        let process: pid_t
        /// When it started, in the kernel's ticks.
        let start: UInt64
    }

    let identity: Identity
    let parent: pid_t
    let command: String
    /// Whether it has been stopped, so that it starts nobody.
    let standsStill: Bool

    var process: pid_t { identity.process }

    /// `sleep (pid 12)`.
    var display: String { "\(command) (pid \(process))" }

    /// All that are to be seen, without those that are no more than their exit codes.
    static func all() -> [RunningProcess] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var found: [RunningProcess] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let number = pid_t(name), let process = RunningProcess(number) { found.append(process) }
        }
        return found
    }

    /// What `/proc/PID/stat` says of a process; `nil` of one that is not, or is no more than its exit code.
    init?(_ process: pid_t) {
        let line = Self.contents(of: "stat", of: process, limit: 512)
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
        identity = Identity(process: process, start: start)
        self.parent = parent
        command = Readable.text(Array(line[(open + 1)..<close]))
        standsStill = ["T", "t"].contains(words[0])
    }

    /// Whether it was started with this variable, `NAME=value`; `false` of a process of others, whose environment is theirs to read.
    func wasStarted(with variable: String) -> Bool {
        let environment = Self.contents(of: "environ", of: process, limit: 1 << 20)
        return environment.split(separator: 0).contains { $0.elementsEqual(variable.utf8) }
    }

    /// The beginning of a file of `/proc/PID`; empty if it cannot be read.
    private static func contents(of file: String, of process: pid_t, limit: Int) -> [UInt8] {
        let descriptor = clinux_open("/proc/\(process)/\(file)", O_RDONLY | O_CLOEXEC, 0)
        guard descriptor != -1 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: min(limit, 4096))
        while bytes.count < limit {
            let count = read(descriptor, &piece, piece.count)
            if count <= 0 { break }
            bytes += piece[..<count]
        }
        return bytes
    }
}
