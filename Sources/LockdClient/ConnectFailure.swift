import CLinux
import Glibc

/// The daemon cannot be reached.
package struct ConnectFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path that was tried.
    package let path: String
    /// The value of `errno`.
    package let number: CInt

    /// The path, what the system says, and what to do about it.
    package var description: String {
        "cannot connect to lockd at \(path): \(String(cString: strerror(number))); \(advice)"
    }

    private var advice: String {
        switch number {
        case EACCES, EPERM: "the socket admits root and the members of its group: see ls -l \(path)"
        case ENAMETOOLONG: "a socket's path has \(clinux_unix_path_maximum()) bytes at the most"
        case EMFILE, ENFILE: "this process has too many files open"
        default:
            "start it with \"systemctl start lockd\" or \"lockd --socket \(path)\", or name another --socket or $LOCKD_SOCKET"
        }
    }

    /// The result of a system call about the socket at `path`.
    package static func check(_ path: String, _ result: CInt) throws(ConnectFailure) -> CInt {
        if result == -1 { throw ConnectFailure(path: path, number: errno) }
        return result
    }
}
