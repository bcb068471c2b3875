import CLinux
import Glibc

/// Which file a descriptor stands for: of a pidfd that is the process, of a pipe the pipe.
///
/// Until the next boot no other file has the same, where the kernel numbers pidfds (Linux 6.9); before that all pidfds look alike.
struct FileIdentity: Hashable {
    let device: UInt64
    let number: UInt64

    /// Of no file.
    static let none = FileIdentity(device: 0, number: 0)

    init(device: UInt64, number: UInt64) {
        self.device = device
        self.number = number
    }

    /// The identity of what is open as `descriptor`; asks nothing of whoever made it.
    init(of descriptor: CInt) {
        var status = stat()
        self =
            fstat(descriptor, &status) == 0
            ? FileIdentity(device: UInt64(status.st_dev), number: UInt64(status.st_ino)) : .none
    }
}
