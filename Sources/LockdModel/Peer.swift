/// The process at the other end of a connection: the one that called connect(), by the kernel's word.
public struct Peer: Hashable, Sendable {
    /// Its number, 0 if it is outside of the daemon's pid namespace.
    public var process: ProcessID
    /// Its user.
    public var user: UserID
    /// The kernel's command name of it when it connected, if that could be read.
    public var command: Text?
    /// Its systemd unit when it connected, if it had one and that could be read.
    public var unit: Text?

    /// A process with these properties.
    public init(process: ProcessID, user: UserID, command: Text? = nil, unit: Text? = nil) {
        self.process = process
        self.user = user
        self.command = command
        self.unit = unit
    }
}
