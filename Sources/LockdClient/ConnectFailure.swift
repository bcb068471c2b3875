import CUnix

/// The daemon cannot be reached.
package struct ConnectFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path that was tried.
    package let path: String
    /// The value of `errno`.
    package let number: CInt

    /// The path, what the system says, and what to do about it.
    package var description: String {
        "cannot connect to lockd at \(path): \(System.message(of: number)); \(advice)"
    }

    private var advice: String {
        switch number {
        case System.ErrorNumber.accessDenied, System.ErrorNumber.notPermitted:
            "the socket admits root and the members of its group: see ls -l \(path)"
        case System.ErrorNumber.nameTooLong: "a socket's path has \(cunix_path_maximum()) bytes at the most"
        case System.ErrorNumber.tooManyFiles, System.ErrorNumber.tooManyFilesOfAll:
            "this process has too many files open"
        case System.ErrorNumber.tryAgain: "it hangs or is overloaded, and accepted no connection in time"
        default: "start it with \(startCommand), or name another socket"
        }
    }

    private var startCommand: String {
        if path == SocketPath.system { return "\"systemctl start lockd\" or \"lockd --socket \(path)\"" }
        let isUsersOwn = (try? SocketPath.find(user: true)) == path
        return isUsersOwn ? "\"lockd --user\"" : "\"lockd --socket \(path)\""
    }

    /// The result of a system call about the socket at `path`.
    package static func check(_ path: String, _ result: CInt) throws(ConnectFailure) -> CInt {
        if result == -1 { throw ConnectFailure(path: path, number: System.errorNumber) }
        return result
    }
}
