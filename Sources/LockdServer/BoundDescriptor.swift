import CLinux
import Glibc
import LockdModel

/// A descriptor that a lease can be bound to: it has been found to be what its sender says it is.
struct BoundDescriptor {
    let descriptor: CInt
    let kind: Binding
    /// The user that sent it.
    let user: UserID
    /// Whom a lease that is bound to it lists: the process of the pidfd; for a pipe, the process that sent it.
    let peer: Peer

    /// What it stands for, as far as that can be found again.
    var target: BoundTarget {
        BoundTarget(
            binding: kind,
            peer: peer,
            user: user,
            process: kind == .pidfd ? ProcessIdentity(of: descriptor, number: peer.process) : .unknown,
            pipe: kind == .pipe ? FileIdentity(of: descriptor) : .none
        )
    }

    /// Why a lease is not bound to a descriptor.
    enum Refusal: Error, Hashable {
        /// None came with the line.
        case none
        /// A pipe, but not its read end alone.
        case writeEnd
        /// Neither a pidfd nor a pipe, as the case may be.
        case other
        /// Its process has ended.
        case ended
        /// lockd cannot see its process: that is in another pid namespace, or hidden.
        case unknown
        /// Its process is of this user, about which the sender has no say.
        case foreign(UserID)
    }

    /// Takes a descriptor for what `kind` says, if it is that and `sender` may bind a lease to it.
    ///
    /// Nothing is asked of the file itself: a stranger can make one that answers never, or not for a long while. What the kernel says of
    /// the descriptor is enough. If this throws, the descriptor is still the caller's.
    init(checking descriptor: CInt?, as kind: Binding, from sender: Peer) throws(Refusal) {
        guard let descriptor else { throw .none }
        let flags = fcntl(descriptor, F_GETFL)
        guard flags != -1, flags & clinux_path_only == 0 else { throw .other }
        let link = Self.link(of: descriptor)
        switch kind {
        case .pidfd:
            guard link == "anon_inode:[pidfd]", flags & Self.threadFlag == 0 else { throw .other }
            peer = try Self.process(of: descriptor, for: sender)
        case .pipe:
            guard link.hasPrefix("pipe:[") else { throw .other }
            guard flags & O_ACCMODE == O_RDONLY else { throw .writeEnd }
            peer = sender
        }
        self.descriptor = descriptor
        self.kind = kind
        user = sender.user
    }

    /// A descriptor that is found to stand for what a lease was bound to before.
    init(_ descriptor: CInt, for target: BoundTarget) {
        self.descriptor = descriptor
        (kind, user, peer) = (target.binding, target.user, target.peer)
    }

    /// Of a pidfd, it stands for a single thread (PIDFD_THREAD): that can end long before its process.
    private static let threadFlag = O_EXCL

    /// What the kernel calls the file.
    ///
    /// That of a file with a name begins with a slash, whatever the name is: only files without one are called otherwise. To ask is no I/O.
    private static func link(of descriptor: CInt) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
            guard let start = text.baseAddress else { return "" }
            let count = readlink("/proc/self/fd/\(descriptor)", start, text.count)
            return String(decoding: UnsafeRawBufferPointer(text)[..<max(0, count)], as: UTF8.self)
        }
    }

    /// Whom a pidfd stands for.
    private static func process(of pidfd: CInt, for sender: Peer) throws(Refusal) -> Peer {
        let number = try number(of: pidfd)
        let user = ProcessStatus.user(of: number)
        let command = ProcessStatus.command(of: number)
        let unit = ProcessStatus.unit(of: number)
        // If it is there still, the number was its own all the while, and not that of another process behind it.
        guard !hasEnded(pidfd) else { throw .ended }
        guard let user = user.map({ UserID($0) }) else { throw .unknown }
        let isOwn = sender.process == ProcessID(number)
        guard isOwn || sender.user.mayAct(for: user) else { throw .foreign(user) }
        return Peer(process: ProcessID(number), user: user, command: command, unit: unit)
    }

    /// The number of the process of a pidfd.
    private static func number(of pidfd: CInt) throws(Refusal) -> pid_t {
        guard let lines = ProcessStatus.read("/proc/self/fdinfo/\(pidfd)", limit: 1024) else { throw .unknown }
        let key = Array("Pid:\t".utf8)
        guard let line = lines.split(separator: UInt8(ascii: "\n")).first(where: { $0.starts(with: key) }),
            let number = pid_t(String(decoding: line.dropFirst(key.count), as: UTF8.self))
        else { throw .unknown }
        if number == -1 { throw .ended }
        // 0 is a process of a pid namespace that is not in lockd's.
        guard number > 0 else { throw .unknown }
        return number
    }

    private static func hasEnded(_ pidfd: CInt) -> Bool {
        var entry = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) != 0
    }
}
