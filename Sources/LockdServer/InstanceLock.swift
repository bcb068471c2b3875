import CLinux
import Glibc

/// The right of one daemon to a path: a lock file beside it, held for life.
///
/// The kernel releases it when the process ends, however that happens. The file stays: who removed it could let two daemons win.
final class InstanceLock {
    private let descriptor: CInt

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
        descriptor = try check("open \(path)") {
            clinux_open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        }
        do {
            try take(path)
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit {
        close(descriptor)
    }

    private func take(_ path: String) throws {
        if retryingOnInterrupt({ flock(descriptor, LOCK_EX | LOCK_NB) }) == -1 {
            guard errno == EWOULDBLOCK else { throw SystemError("flock \(path)") }
            throw Taken(path: path, process: readHolder())
        }
        let line = Array("\(getpid())\n".utf8)
        _ = try check("truncate \(path)") { ftruncate(descriptor, 0) }
        _ = try check("write \(path)") { pwrite(descriptor, line, line.count, 0) }
    }

    /// The pid that the holder wrote, if it has got that far.
    private func readHolder() -> String? {
        let bytes = [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
            count = max(0, retryingOnInterrupt { pread(descriptor, buffer.baseAddress, 16, 0) })
        }
        let text = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return Int32(text).map { String($0) }
    }
}
