import CLinux
import CUnix
import Glibc

/// The socket on which the daemon listens, and its file.
final class Listener {
    /// The listening socket, non-blocking.
    let descriptor: CInt
    /// Where the socket file is that is this listener's to remove, with its device and its number there.
    private let file: (path: String, identity: Identity)?

    private typealias Identity = (device: dev_t, number: ino_t)

    /// What stands in the way of a socket at a path.
    struct Obstacle: Error, CustomStringConvertible {
        let description: String
    }

    /// How many connections may wait to be accepted; more than the kernel allows (net.core.somaxconn) is cut by it.
    private static let backlog: CInt = 4096

    /// Listens at `path` with the permissions `mode`.
    ///
    /// A socket file that is there is replaced: the caller holds the ``InstanceLock`` of the path, so nobody serves it.
    init(path: String, mode: mode_t) throws {
        try Self.removeStaleSocket(path)
        let socket = try check("socket") { cunix_stream_socket(true) }
        descriptor = socket
        do {
            // The file gets the permissions of the socket, less the umask: at no time can anybody connect who shall not.
            _ = try check("fchmod") { fchmod(socket, mode) }
            _ = try check("bind \(path)") { clinux_bind_unix(socket, path, path.utf8.count) }
            _ = try check("chmod \(path)") { chmod(path, mode) }
            file = (path, try Self.identity(of: path))
            _ = try check("listen \(path)") { listen(socket, Self.backlog) }
        } catch {
            close(socket)
            throw error
        }
    }

    /// Takes over a socket that listens already: non-blocking, and somebody else's too, as its file is.
    init(adopting socket: CInt) {
        descriptor = socket
        file = nil
    }

    /// Stops listening and removes the socket file, unless another one has taken its place or it is somebody else's.
    ///
    /// - Parameter close: closes the socket, with the connections that wait in it and all that their clients have sent.
    func shutDown(close: (CInt) -> Void = { Glibc.close($0) }) {
        if let file, let found = try? Self.identity(of: file.path), found == file.identity { unlink(file.path) }
        close(descriptor)
    }

    private static func identity(of path: String) throws -> Identity {
        var status = stat()
        _ = try check("stat \(path)") { lstat(path, &status) }
        return (status.st_dev, status.st_ino)
    }

    private static func removeStaleSocket(_ path: String) throws {
        if let objection = ServerConfiguration.objection(toSocketPath: path) { throw Obstacle(description: objection) }
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw SystemError("stat \(path)")
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Obstacle(description: "\(path) is there and is not a socket; move it away or choose another path")
        }
        _ = try check("unlink \(path)") { unlink(path) }
    }
}
