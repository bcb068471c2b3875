import LockdModel
import LockdWire

/// Who holds a lock, as the daemon sees it.
///
/// The texts are a stranger's. They are as the protocol spells them, so that they can be shown on any terminal: what is not visible ASCII is `%XX`.
public struct LockHolder: Hashable, Sendable {
    /// The process, 0 if it is outside of the daemon's pid namespace.
    public let processID: Int32?
    /// The user of that process.
    public let userID: UInt32?
    /// The kernel's command name of that process when it connected.
    public let command: String?
    /// The systemd unit of that process when it connected.
    public let unit: String?
    /// What it says of itself.
    public let note: String?
    /// How long it has been holding.
    public let held: Duration
    /// How many hold the lock; the rest is about the one that was granted first.
    public let count: Int

    init(_ holder: Reply.Holder) {
        processID = holder.peer.process?.value
        userID = holder.peer.user?.value
        command = holder.peer.command?.spelling
        unit = holder.peer.unit?.spelling
        note = holder.note?.spelling
        held = .milliseconds(holder.held.count)
        count = holder.count
    }
}
