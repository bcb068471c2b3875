import CLinux
import Glibc

/// The right of one daemon to a path: a lock file beside it, held for life.
///
/// The kernel releases it when the process ends, however that happens. The file stays: who removed it could let two daemons win.
final class InstanceLock {
    private let descriptor: CInt

    /// How often the holder's pid is looked for: for half a second.
    private static let readings = 50
    private static let microsecondsBetweenReadings: UInt32 = 10_000

    /// Another daemon has the lock.
    struct Taken: Error, Hashable, CustomStringConvertible {
        let path: String
        let process: String?

        var description: String {
            let who = process.map { "lockd with pid \($0)" } ?? "another lockd"
            return "\(who) is running already and holds \(path); stop it first, or give this one another place"
        }
    }

    /// Takes the lock in the file at `path`, which is made if it is not there.
    ///
    /// - Throws: ``Taken`` if another process has it, ``SystemError`` if the file cannot be used.
    init(path: String) throws {
        // For nobody else, not even to read: whoever can open the file can lock it, and keep the daemon from starting.
        descriptor = try check("open \(path)") {
            clinux_open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        }
        // If it cannot be taken, the end of this object closes the file.
        try take(path)
    }

    deinit {
        close(descriptor)
    }

    private func take(_ path: String) throws {
        var triesLeft = Self.readings
        while retryingOnInterrupt({ flock(descriptor, LOCK_EX | LOCK_NB) }) == -1 {
            guard errno == EWOULDBLOCK else { throw SystemError("flock \(path)") }
            triesLeft -= 1
            if let process = readHolder() { throw Taken(path: path, process: process) }
            if triesLeft == 0 { throw Taken(path: path, process: nil) }
            // The holder writes its pid right behind taking the lock. Until then the file is empty or tells of a daemon that has ended.
            usleep(Self.microsecondsBetweenReadings)
        }
        let line = Array("\(getpid())\n".utf8)
        _ = try check("truncate \(path)") { ftruncate(descriptor, 0) }
        _ = try check("write \(path)") { pwrite(descriptor, line, line.count, 0) }
    }

    /// The pid in the file, if a process has it.
    private func readHolder() -> String? {
        let bytes = [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
            count = max(0, retryingOnInterrupt { pread(descriptor, buffer.baseAddress, 16, 0) })
        }
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")),
            let process = pid_t(String(decoding: bytes[..<end], as: UTF8.self)), process > 0,
            kill(process, 0) == 0 || errno == EPERM
        else { return nil }
        return String(process)
    }
}
