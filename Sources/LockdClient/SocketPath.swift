import CUnix

/// Where a client finds the daemon.
///
/// One rule for every client, in every language, and no search: two places to look would be two daemons that both grant the same name.
public enum SocketPath {
    /// Where the daemon of the machine listens.
    public static let system = "/run/lockd/lockd.sock"

    /// The path of the daemon's socket: `argument` if there is one; else, for `user`, `$XDG_RUNTIME_DIR/lockd/lockd.sock`; else
    /// `$LOCKD_SOCKET`; else ``system``.
    ///
    /// What the program says goes before what its environment says. An environment variable that is empty counts as not set. A path that
    /// does not begin with `/` is taken from the directory the process is in now, and the result begins with `/`.
    ///
    /// - Throws: ``LockdClientError`` with the code ``LockdClientError/Code/invalidArgument`` if both `argument` and `user` are given, if the
    ///   path cannot be that of a socket, or if `user` is asked for and `$XDG_RUNTIME_DIR` is not set.
    public static func find(argument: String? = nil, user: Bool = false) throws(LockdClientError) -> String {
        try find(argument: argument, user: user, environment: System.environment)
    }

    static func find(
        argument: String?,
        user: Bool,
        environment: (String) -> String?
    ) throws(LockdClientError) -> String {
        if let argument {
            guard !user else {
                throw .invalidArgument("a socket path and \"user\" were both given: they name two daemons, choose one")
            }
            return try absolute(argument, "the socket path")
        }
        if user {
            guard let directory = environment("XDG_RUNTIME_DIR") else {
                throw .invalidArgument("\"user\" needs $XDG_RUNTIME_DIR, which is not set; set it, or give a path")
            }
            return try absolute(directory + "/lockd/lockd.sock", "the socket path under $XDG_RUNTIME_DIR")
        }
        if let path = environment("LOCKD_SOCKET") { return try absolute(path, "$LOCKD_SOCKET") }
        return system
    }

    private static func absolute(_ path: String, _ what: String) throws(LockdClientError) -> String {
        if path.isEmpty { throw .invalidArgument("\(what) is empty; leave it out for \(system)") }
        if path.utf8.contains(0) { throw .invalidArgument("\(what) holds a NUL byte, which no path can") }
        let path = path.utf8.first == UInt8(ascii: "/") ? path : try currentDirectory(for: what) + "/" + path
        let maximum = cunix_path_maximum()
        guard path.utf8.count <= maximum else {
            throw .invalidArgument("\(what) has \(path.utf8.count) bytes, the kernel allows \(maximum): \(path)")
        }
        return path
    }

    private static func currentDirectory(for what: String) throws(LockdClientError) -> String {
        if let directory = System.currentDirectory() { return directory }
        let reason = System.message(of: System.errorNumber)
        throw .invalidArgument("\(what) is relative, and the current directory cannot be found: \(reason)")
    }
}
