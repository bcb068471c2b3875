import CLinux
import Glibc
import LockdModel

/// Which process it is: its number may be given to another one once it has ended, this never is.
struct ProcessIdentity: Hashable {
    /// What its pidfd stands for, where the kernel tells processes apart by that (Linux 6.9); else nothing.
    let pidfd: FileIdentity
    /// When it started, in clock ticks since the boot, where the pidfd does not tell.
    let startTime: UInt64

    init(pidfd: FileIdentity, startTime: UInt64) {
        self.pidfd = pidfd
        self.startTime = startTime
    }

    /// Nothing is known.
    static let unknown = ProcessIdentity(pidfd: .none, startTime: 0)

    /// The process of a pidfd, which has this number, if it is not outside of lockd's pid namespace.
    init(of pidfd: CInt, number: ProcessID) {
        if clinux_pidfd_is_unique(pidfd) {
            self.init(pidfd: FileIdentity(of: pidfd), startTime: 0)
        } else {
            self.init(pidfd: .none, startTime: ProcessStatus(of: number.value)?.startTime ?? 0)
        }
    }

    /// Whether it is known which process this is.
    var isKnown: Bool { pidfd != .none || startTime != 0 }

    /// A pidfd of the process that has the number `number` now, if that is this one; nothing if this one has ended.
    ///
    /// - Throws: ``SystemError`` if there is no descriptor to be had.
    func open(_ number: ProcessID) throws(SystemError) -> CInt? {
        guard isKnown, number.value > 0 else { return nil }
        let descriptor = clinux_pidfd_open(number.value)
        guard descriptor != -1 else {
            if SystemError.isExhaustion(errno) { throw SystemError("pidfd_open") }
            return nil
        }
        if ProcessIdentity(of: descriptor, number: number) == self { return descriptor }
        close(descriptor)
        return nil
    }
}
