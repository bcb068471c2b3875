import CLinux
import Glibc
import LockdClient
import LockdModel

/// A file that is locked by flock(2) or fcntl(2), as flock(1) does it.
struct FileLock {
    /// For people, and to open it once more.
    let path: String
    private let arguments: FlockArguments
    private(set) var descriptor: CInt

    /// A file that cannot be opened or locked, and the exit code of flock(1) for that.
    struct Problem: Error, CustomStringConvertible {
        let description: String
        let exitCode: Int32

        init(_ what: String, _ exitCode: Int32, error: CInt = errno) {
            description = "\(what): \(String(cString: strerror(error)))"
            self.exitCode = exitCode
        }
    }

    /// Opens the file, which is made if it is missing; it is locked by ``lock(until:onWait:)`` only.
    init(_ target: FlockArguments.Target, _ arguments: FlockArguments) throws(Problem) {
        self.arguments = arguments
        switch target {
        case .path(let path):
            self.path = path
            // For an exclusive lock fcntl(2) wants a file that can be written to.
            let writes = arguments.range != nil && !arguments.isShared && !arguments.unlocks
            descriptor = try Self.open(path, writes ? O_WRONLY : O_RDONLY)
        case .descriptor(let number):
            guard let path = Self.path(of: number) else { throw Problem("\(number)", 65, error: EBADF) }
            self.path = path
            descriptor = number
        }
    }

    /// Where the file of a descriptor is, or was.
    static func path(of descriptor: CInt) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/fd/\(descriptor)", &buffer, buffer.count)
        if count <= 0 { return nil }
        return RawText.string(of: buffer[..<count].map { UInt8(bitPattern: $0) })
    }

    private static func open(_ path: String, _ access: CInt) throws(Problem) -> CInt {
        let flags = O_NOCTTY | O_CLOEXEC
        let descriptor = RawText.withBytes(of: path) { bytes in
            let made = clinux_open(bytes, access | flags | O_CREAT, 0o666)
            // A directory cannot be made here, but locked.
            return made == -1 && errno == EISDIR ? clinux_open(bytes, O_RDONLY | flags, 0) : made
        }
        guard descriptor != -1 else {
            let code: Int32 =
                switch errno {
                case ENOMEM, EMFILE, ENFILE: 71
                case EROFS, ENOSPC: 73
                default: 66
                }
            throw Problem("cannot open \(Readable.text(path))", code)
        }
        return descriptor
    }

    /// The name of the lock in lockd: the canonical path, and for a lock of fcntl(2), which is another one than that of flock(2), also the bytes: `/x:0+0`.
    ///
    /// A path that is longer than a name may be loses its beginning: two that are the same then exclude each other needlessly, and never too little.
    func name() throws(Problem) -> LockName {
        let resolved = RawText.withBytes(of: path) { realpath($0, nil) }
        defer { free(resolved) }
        var bytes: [UInt8]
        if let resolved {
            bytes = UnsafeBufferPointer(start: resolved, count: strlen(resolved)).map { UInt8(bitPattern: $0) }
        } else {
            bytes = try number()
        }
        if let range = arguments.range { bytes += Array(":\(range.start)+\(range.length)".utf8) }
        do {
            return try LockName(bytes: bytes.suffix(LockName.maximumByteCount))
        } catch {
            throw Problem("cannot name a lock after \(Readable.text(path))", 66, error: EINVAL)
        }
    }

    /// What stands for a file without a path, such as one that was deleted while it is open.
    private func number() throws(Problem) -> [UInt8] {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Problem("cannot find \(Readable.text(path))", 66) }
        return Array("file:\(status.st_dev):\(status.st_ino)".utf8)
    }

    private var terms: clinux_file_lock {
        clinux_file_lock(
            operation: arguments.unlocks ? LOCK_UN : arguments.isShared ? LOCK_SH : LOCK_EX,
            is_range: arguments.range != nil,
            start: off_t(arguments.range?.start ?? 0),
            length: off_t(arguments.range?.length ?? 0)
        )
    }

    /// Locks the file, or unlocks it, and returns whether it could, until `deadline` at the latest.
    ///
    /// Who has a lease on it has the lock too; it is waited for only if somebody has locked the file without asking lockd.
    ///
    /// - Parameter onWait: called before it is waited for.
    mutating func lock(until deadline: MonotonicInstant?, onWait: () -> Void) throws -> Bool {
        var terms = terms
        if clinux_lock_file(descriptor, &terms) == 0 { return true }
        // NFS makes it a lock of fcntl(2), which wants a file that can be written to.
        if errno == EBADF || errno == EIO, terms.operation == LOCK_EX,
            RawText.withBytes(of: path, { access($0, R_OK | W_OK) }) == 0
        {
            close(descriptor)
            descriptor = try Self.open(path, O_RDWR)
            if clinux_lock_file(descriptor, &terms) == 0 { return true }
        }
        guard errno == EWOULDBLOCK else { throw failure(errno) }
        if let deadline, deadline <= .now() { return false }
        onWait()
        return try wait(&terms, until: deadline)
    }

    private func failure(_ error: CInt) -> Problem {
        Problem("cannot lock \(Readable.text(path))", error == ENOLCK || error == ENOMEM ? 71 : 65, error: error)
    }

    /// A lock belongs to the open file and not to a process, so another process can wait for it, and this one for that with a deadline.
    private func wait(_ terms: inout clinux_file_lock, until deadline: MonotonicInstant?) throws -> Bool {
        let process = clinux_wait_for_file_lock(descriptor, &terms)
        guard process != -1 else { throw SystemFailure("fork") }
        let pidfd = clinux_pidfd_open(process)
        guard pidfd != -1 else { throw SystemFailure("pidfd_open") }
        defer { close(pidfd) }
        var end = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        while poll(&end, 1, System.milliseconds(until: deadline)) <= 0 {
            if let deadline, deadline <= .now() { kill(process, SIGKILL) }
        }
        var status: CInt = 0
        while waitpid(process, &status, 0) == -1 && errno == EINTR {}
        if status == 0 { return true }
        // Killed, by this process.
        if status & 0x7F != 0 { return false }
        throw failure(status >> 8)
    }
}
