import Glibc

/// Where the daemon's socket is.
///
/// One rule, the same in every client: what the caller says, then `$LOCKD_SOCKET`, then the one path of the system. Never a second guess: two
/// defaults would be two daemons that both "hold" a name.
public enum SocketPath {
    /// The socket of the machine's daemon.
    public static let system = "/run/lockd/lockd.sock"

    /// The user's own daemon was asked for, and nothing says where it would be.
    public struct NoRuntimeDirectory: Error, Hashable, Sendable, CustomStringConvertible {
        /// What is missing and what to do.
        public var description: String {
            "the user's own lockd is found through $XDG_RUNTIME_DIR, which is not set; set it, or name the socket"
        }
    }

    /// The path to connect to.
    ///
    /// - Parameters:
    ///   - argument: what the caller says; goes before everything else.
    ///   - user: the user's own daemon: `$XDG_RUNTIME_DIR/lockd/lockd.sock`, whatever `$LOCKD_SOCKET` says.
    /// - Throws: ``NoRuntimeDirectory`` if `user` is asked for without `$XDG_RUNTIME_DIR`.
    public static func find(argument: String? = nil, user: Bool = false) throws(NoRuntimeDirectory) -> String {
        if let argument { return argument }
        if user {
            guard let directory = environment("XDG_RUNTIME_DIR") else { throw NoRuntimeDirectory() }
            return directory + "/lockd/lockd.sock"
        }
        return environment("LOCKD_SOCKET") ?? system
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }
}
