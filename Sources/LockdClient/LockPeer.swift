import LockdModel
import LockdWire

/// A process that holds or held a lock, or waits for one, as the daemon sees it.
///
/// The texts are a stranger's. They are as the protocol spells them, so that they can be shown on any terminal: what is not visible ASCII is `%XX`.
public struct LockPeer: Hashable, Sendable {
    /// Its session at the daemon.
    public let sessionID: UInt64?
    /// The process, 0 if it is outside of the daemon's pid namespace.
    public let processID: Int32?
    /// The user of that process.
    public let userID: UInt32?
    /// The kernel's command name of that process when it connected.
    public let command: String?
    /// The systemd unit of that process when it connected.
    public let unit: String?

    init(_ peer: Reply.Peer) {
        sessionID = peer.session?.value
        processID = peer.process?.value
        userID = peer.user?.value
        command = peer.command?.spelling
        unit = peer.unit?.spelling
    }
}
