import CLinux
import Glibc
import LockdModel

/// Finds out who is at the other end of a connection, and gets hold of that process.
enum PeerIdentification {
    /// The peer of a connected socket, with a pidfd that becomes readable when that process ends.
    ///
    /// The caller owns the descriptor. Nothing if the process is gone already. `unit` is asked first for its systemd unit.
    ///
    /// - Throws: ``SystemError`` if there is no descriptor to be had now.
    static func identify(
        _ socket: CInt,
        unit: (_ socket: CInt) -> Text? = { _ in nil }
    ) throws(SystemError) -> (peer: Peer, pidfd: CInt)? {
        var credentials = clinux_credentials()
        guard clinux_peer_credentials(socket, &credentials) == 0 else { return nil }
        var pidfd = clinux_peer_pidfd(socket)
        if pidfd == -1 && errno == ENOPROTOOPT { pidfd = openByNumber(credentials) }
        guard pidfd != -1 else {
            if SystemError.isExhaustion(errno) { throw SystemError("pidfd") }
            return nil
        }
        let peer = Peer(
            process: ProcessID(credentials.process),
            user: UserID(credentials.user),
            command: ProcessStatus.command(of: credentials.process),
            unit: unit(socket) ?? ProcessStatus.unit(of: credentials.process)
        )
        return (peer, pidfd)
    }

    /// A pidfd of the process with the peer's number, for kernels before 6.5, or -1 with `errno` set if it is not the peer any more.
    ///
    /// The number may have been given to another process since connect(). That is noticed if the other process has another user, or if it
    /// takes over between the two readings of the start time; what stays unnoticed is a new process of the same user that got the number
    /// between connect() and accept().
    static func openByNumber(_ credentials: clinux_credentials) -> CInt {
        errno = ESRCH
        guard credentials.process > 0, let before = ProcessStatus(of: credentials.process) else { return -1 }
        let pidfd = clinux_pidfd_open(credentials.process)
        guard pidfd != -1 else { return -1 }
        guard before.user == credentials.user, ProcessStatus(of: credentials.process) == before else {
            let reason = SystemError.isExhaustion(errno) ? errno : ESRCH
            close(pidfd)
            errno = reason
            return -1
        }
        return pidfd
    }
}

/// What /proc says of a process.
struct ProcessStatus: Equatable {
    /// The effective user.
    let user: uid_t
    /// When it started, in clock ticks since the boot: with the number, a process's identity.
    let startTime: UInt64

    init?(of process: pid_t) {
        guard let user = Self.user(of: process), let line = Self.read("/proc/\(process)/stat", limit: 1024)
        else { return nil }
        // The second field is the command in parentheses and may hold anything; the start time is the 20th behind it.
        guard let end = line.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = line[(end + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count >= 20, let startTime = UInt64(String(decoding: fields[19], as: UTF8.self)) else {
            return nil
        }
        self.user = user
        self.startTime = startTime
    }

    /// The effective user of a process.
    static func user(of process: pid_t) -> uid_t? {
        var status = stat()
        return stat("/proc/\(process)", &status) == 0 ? status.st_uid : nil
    }

    /// The systemd unit of a process, if it has one.
    static func unit(of process: pid_t) -> Text? {
        // Enough for a dozen hierarchies of cgroup v1; of a line that does not fit nothing is taken.
        guard process > 0, let groups = read("/proc/\(process)/cgroup", limit: 4096) else { return nil }
        return UnitName.unit(inControlGroups: groups[...]).flatMap { try? Text(bytes: $0, limit: Text.longLimit) }
    }

    /// The kernel's command name of a process.
    static func command(of process: pid_t) -> Text? {
        guard process > 0, var name = read("/proc/\(process)/comm", limit: 64) else { return nil }
        if name.last == UInt8(ascii: "\n") { name.removeLast() }
        return try? Text(bytes: name, limit: Text.shortLimit)
    }

    /// The first `limit` bytes of a file of /proc; nothing if there are none.
    static func read(_ path: String, limit: Int) -> [UInt8]? {
        let descriptor = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor != -1 else { return nil }
        defer { close(descriptor) }
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = max(0, retryingOnInterrupt { Glibc.read(descriptor, buffer.baseAddress, limit) })
        }
        return bytes.isEmpty ? nil : bytes
    }
}
