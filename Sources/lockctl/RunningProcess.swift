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
    /// Whether it has been stopped.
    let standsStill: Bool

    var process: pid_t { identity.process }

    /// `sleep (pid 12)`.
    var display: String { "\(command) (pid \(process))" }

    /// Whether `/proc` numbers processes as this process does, which it does not in a pid namespace without a `/proc` of its own.
    private static let areNumbersOurs = link("/proc/self") == "\(getpid())"

    /// All that are to be seen, without those that are no more than their exit codes; none if `/proc` shows those of somebody else.
    static func all() -> [RunningProcess] {
        guard areNumbersOurs, let directory = opendir("/proc") else { return [] }
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
        let line = Self.contents(of: "/proc/\(process)/stat", limit: 512)
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

    /// Now, as ``Identity/start`` has it.
    static var currentTick: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        let ticks = UInt64(sysconf(CInt(_SC_CLK_TCK)))
        return UInt64(time.tv_sec) * ticks + UInt64(time.tv_nsec) * ticks / 1_000_000_000
    }

    /// The number that was given to a process last.
    ///
    /// They grow, but for a jump back at the largest there may be.
    static var lastNumber: pid_t {
        // `0.20 0.18 0.12 1/80 11206`
        let words = contents(of: "/proc/loadavg", limit: 128).split(separator: UInt8(ascii: " "))
        let number = words.last.map { String(decoding: $0, as: UTF8.self) } ?? ""
        return pid_t(number.prefix { $0.isNumber }) ?? 0
    }

    /// Sends it a signal, and never another process that has its number by now; `false` if it is of another user, who must not be sent any.
    @discardableResult
    func isSent(_ signal: CInt) -> Bool {
        let pidfd = clinux_pidfd_open(process)
        guard pidfd != -1 else { return true }
        defer { close(pidfd) }
        guard RunningProcess(process)?.identity == identity else { return true }
        return clinux_pidfd_send_signal(pidfd, signal) == 0 || errno != EPERM
    }

    /// Whether it runs the program that this process does.
    var isSameProgram: Bool {
        let program = Self.link("/proc/self/exe")
        return program != nil && Self.link("/proc/\(process)/exe") == program
    }

    /// Whether TERM is nothing to it.
    var ignoresTERM: Bool {
        let status = String(decoding: Self.contents(of: "/proc/\(process)/status", limit: 8192), as: UTF8.self)
        let line = status.split(separator: "\n").first { $0.hasPrefix("SigIgn:") }
        let mask = line.flatMap { $0.split(separator: "\t").last }.flatMap { UInt64($0, radix: 16) }
        return (mask ?? 0) & 1 << UInt64(SIGTERM - 1) != 0
    }

    /// The token of the lease that it was started under, which lockctl puts into the environment; `nil` if there is none, or if it is a process of others, whose
    /// environment is theirs to read.
    var token: FencingToken? {
        let name = "LOCKD_TOKEN="
        let environment = Self.contents(of: "/proc/\(process)/environ", limit: 1 << 20)
        let variable = environment.split(separator: 0).last { $0.starts(with: name.utf8) }
        let digits = variable?.dropFirst(name.utf8.count)
        return digits.flatMap { UInt64(String(decoding: $0, as: UTF8.self)) }.map { FencingToken($0) }
    }

    private static func link(_ path: String) -> String? {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &target, target.count)
        return count < 0 ? nil : String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The beginning of a file; empty if it cannot be read, or is a pipe at which nobody writes.
    static func contents(of file: String, limit: Int = 1 << 16) -> [UInt8] {
        let descriptor = clinux_open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
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
