import CSystemd
import Glibc

/// The descriptors that systemd has passed to this process: the listening socket, and what was put into the fd store by the process before.
///
/// They are told apart by their names, since their order is not fixed. The caller owns them.
public struct ListenDescriptors {
    /// A descriptor that has come with a name.
    public struct Named: Hashable, Sendable {
        /// What `FileDescriptorName=` or `FDNAME=` said.
        public let name: String
        /// Close-on-exec; its file is not blocking.
        public let descriptor: CInt

        /// `descriptor`, which was called `name`.
        public init(name: String, descriptor: CInt) {
            self.name = name
            self.descriptor = descriptor
        }
    }

    /// The name of the listening socket, as `FileDescriptorName=` of the socket unit says it.
    public static let listenerName = "lockd.sock"
    /// How the names of all begin that were put into the fd store.
    public static let storedPrefix = "lockd.bag"

    /// A Unix stream socket that listens, if one was passed.
    public let listener: CInt?
    /// What comes from the fd store, in the order in which it was passed.
    public let stored: [Named]

    /// What the environment says was passed to this process: nothing, if it was not started by systemd.
    ///
    /// The variables are removed, so this can be asked once, and before other threads read the environment.
    ///
    /// - Throws: ``SystemdError`` if something was passed, but not to this process, or not what it should be.
    public static func takeFromEnvironment() throws -> Self {
        let announced = variable("LISTEN_FDS")
        let addressee = variable("LISTEN_PID")
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        defer { free(names) }
        if count < 0 {
            throw SystemdError(
                "LISTEN_FDS=\(announced ?? "") and LISTEN_PID=\(addressee ?? "") are not what systemd sets: unset them, or pass a socket",
                -count
            )
        }
        guard count > 0 || announced == nil else {
            throw SystemdError(
                "LISTEN_FDS is set for process \(addressee ?? "?"), and this is \(getpid()): start lockd itself, with exec if from a script, "
                    + "or unset LISTEN_FDS and LISTEN_PID"
            )
        }
        return try Self(
            (0..<count).map { index in
                let name = names?[Int(index)]
                defer { free(name) }
                return Named(name: name.map { String(cString: $0) } ?? "", descriptor: SD_LISTEN_FDS_START + index)
            }
        )
    }

    /// Sorts what was passed, and makes it close-on-exec and not blocking.
    ///
    /// - Throws: ``SystemdError`` that says of which name, and what was expected. All descriptors are still the caller's then.
    public init(_ passed: [Named]) throws {
        var listener: CInt?
        var stored: [Named] = []
        for named in passed {
            if named.name == Self.listenerName {
                guard listener == nil else {
                    throw SystemdError("two sockets with the name \(named.name) were passed; lockd listens on one")
                }
                try Self.requireListener(named)
                listener = named.descriptor
            } else if named.name.hasPrefix(Self.storedPrefix) {
                stored.append(named)
            } else {
                throw SystemdError(
                    "a descriptor with the name \"\(Self.printable(named.name))\" was passed, which lockd does not know; the socket unit of lockd "
                        + "needs FileDescriptorName=\(Self.listenerName), systemd-socket-activate --fdname=\(Self.listenerName)"
                )
            }
            try Self.prepare(named)
        }
        self.listener = listener
        self.stored = stored
    }

    private static func requireListener(_ named: Named) throws {
        let descriptor = named.descriptor
        guard try holds("sd_is_socket", { sd_is_socket(descriptor, AF_UNIX, 0, -1) }) else {
            throw SystemdError("\(named.name) is not a Unix socket; the socket unit needs ListenStream= with a path")
        }
        guard try holds("sd_is_socket", { sd_is_socket(descriptor, AF_UNIX, streamType, -1) }) else {
            throw SystemdError("\(named.name) is not a stream socket; the socket unit needs ListenStream=")
        }
        guard try holds("sd_is_socket", { sd_is_socket(descriptor, AF_UNIX, streamType, 1) }) else {
            throw SystemdError("\(named.name) does not listen, it is a connection; the socket unit needs Accept=no")
        }
    }

    private static let streamType = CInt(SOCK_STREAM.rawValue)

    private static func holds(_ call: String, _ check: () -> CInt) throws -> Bool {
        let result = check()
        if result < 0 { throw SystemdError(call, -result) }
        return result > 0
    }

    private static func prepare(_ named: Named) throws {
        let descriptorFlags = fcntl(named.descriptor, F_GETFD)
        let fileFlags = fcntl(named.descriptor, F_GETFL)
        guard descriptorFlags != -1, fileFlags != -1,
            fcntl(named.descriptor, F_SETFD, descriptorFlags | FD_CLOEXEC) != -1,
            fcntl(named.descriptor, F_SETFL, fileFlags | O_NONBLOCK) != -1
        else { throw SystemdError("cannot use descriptor \(named.descriptor), \(printable(named.name))", errno) }
    }

    /// Names are systemd's or those of whoever sets the environment: nothing of them may disturb a terminal.
    private static func printable(_ name: String) -> String {
        String(
            String.UnicodeScalarView(
                name.unicodeScalars.prefix(255).map { $0.value < 32 || $0.value == 127 ? "?" : $0 }
            )
        )
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }
}
