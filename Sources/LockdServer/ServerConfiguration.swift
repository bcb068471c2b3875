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
}
