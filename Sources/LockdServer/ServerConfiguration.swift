import CUnix
import Glibc
public import LockdModel

/// What a ``Server`` must be told.
public struct ServerConfiguration: Sendable {
    /// The path of the socket.
    ///
    /// Its directory exists.
    public var socketPath: String
    /// The permissions of the socket.
    public var socketMode: UInt32
    /// The directory that keeps what must survive the daemon.
    ///
    /// It exists.
    public var stateDirectory: String
    /// How much the daemon takes on.
    public var limits: Limits
    /// The version that it says it has.
    public var version: String
    /// A descriptor that becomes readable when the daemon is to end, a signalfd as a rule.
    ///
    /// The caller owns it.
    public var stopDescriptor: CInt?
    /// A Unix stream socket that listens already, if the server is not to make one: then ``socketPath`` says where it does, ``socketMode`` is of no
    /// account, and the socket file is left alone.
    ///
    /// The server closes it at its end; others may have it too.
    public var listeningDescriptor: CInt?
    /// How long nobody may be connected, hold or wait before the server ends by itself; for ever if `nil`.
    ///
    /// Only for a socket that somebody else has too, and who will start another server for those who connect.
    public var exitWhenIdle: Milliseconds?
    /// Asked for the systemd unit of the process at the other end of a new connection.
    ///
    /// Of what it does not know, the server finds out by itself, from what /proc says of the control groups.
    public var unitOfPeer: @Sendable (_ socket: CInt) -> Text? = { _ in nil }

    /// Whether the next server goes on where this one has stopped.
    ///
    /// If not, nothing is written down, and all sessions and leases end with this one.
    public var keepsLog = true

    /// A server at these paths.
    public init(
        socketPath: String,
        socketMode: UInt32,
        stateDirectory: String,
        limits: Limits = Limits(),
        version: String,
        stopDescriptor: CInt? = nil
    ) {
        self.socketPath = socketPath
        self.socketMode = socketMode
        self.stateDirectory = stateDirectory
        self.limits = limits
        self.version = version
        self.stopDescriptor = stopDescriptor
    }

    /// What keeps a socket from having `path`, which does not depend on what there is; `nil` if nothing does.
    public static func objection(toSocketPath path: String) -> String? {
        let maximum = cunix_path_maximum()
        guard path.utf8.count > maximum else { return nil }
        return "the socket path \(path) has \(path.utf8.count) bytes; the kernel allows \(maximum)"
    }
}
