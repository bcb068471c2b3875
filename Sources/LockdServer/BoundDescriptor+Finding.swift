import CLinux
import Glibc
import LockdModel

/// How what a lease is bound to is found again by a daemon that does not have its descriptor.
extension BoundDescriptor {
    /// What became of it.
    enum Search {
        case found(BoundDescriptor)
        case ended
        /// It may be there, and lockd cannot see it.
        case unknown
    }

    /// Looks for what `target` says among the processes of this machine.
    static func find(_ target: BoundTarget, isForeign: Bool) -> Search {
        if isForeign { return .unknown }
        switch target.binding {
        case .pidfd:
            guard target.process.isKnown, let pidfd = try? target.process.open(target.peer.process) else {
                return .ended
            }
            return .found(BoundDescriptor(pidfd, for: target))
        case .pipe: return findPipe(target)
        }
    }

    /// Looks through the descriptors of all processes for the pipe's write end: whoever has it open keeps the lease.
    private static func findPipe(_ target: BoundTarget) -> Search {
        var isSure = true
        for process in Directory.entries(of: "/proc").compactMap({ pid_t($0) }) {
            let directory = "/proc/\(process)/fd"
            guard let descriptors = Directory.entriesIfReadable(of: directory) else {
                // Of one that has ended meanwhile there is nothing to see.
                if access("/proc/\(process)", F_OK) == 0 { isSure = false }
                continue
            }
            for descriptor in descriptors {
                if let found = openPipe("\(directory)/\(descriptor)", target) { return .found(found) }
            }
        }
        return isSure ? .ended : .unknown
    }

    /// A read end of the pipe, if that is what somebody has open there.
    private static func openPipe(_ path: String, _ target: BoundTarget) -> BoundDescriptor? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFIFO,
            FileIdentity(device: UInt64(status.st_dev), number: UInt64(status.st_ino)) == target.pipe
        else { return nil }
        let descriptor = clinux_open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0)
        guard descriptor != -1 else { return nil }
        guard FileIdentity(of: descriptor) == target.pipe else {
            close(descriptor)
            return nil
        }
        return BoundDescriptor(descriptor, for: target)
    }
}

/// The names in a directory.
enum Directory {
    static func entries(of path: String) -> [String] { entriesIfReadable(of: path) ?? [] }

    static func entriesIfReadable(of path: String) -> [String]? {
        guard let directory = opendir(path) else { return nil }
        defer { closedir(directory) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(directory) {
            withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 256) { names.append(String(cString: $0)) }
            }
        }
        return names
    }
}
