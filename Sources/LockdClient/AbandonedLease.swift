import LockdModel

/// A lease that ended without having been released, as the daemon tells the next holder of the lock.
public struct AbandonedLease: Hashable, Sendable {
    /// How it ended.
    public enum Ending: Hashable, Sendable {
        /// With the process or the connection of its holder.
        case ended
        /// Its ttl ran out.
        case expired
        /// Somebody revoked it.
        case revoked
    }

    /// How it ended.
    public let ending: Ending
    /// Its token, smaller than that of the lease that follows.
    public let token: UInt64
    /// The process that held it, as the daemon sees its number.
    public let processID: Int32?
    /// The user of that process.
    public let userID: UInt32?
    /// The kernel's command name of that process, as the protocol spells it: what is not visible ASCII is `%XX`.
    public let command: String?
    /// How long it was held, by the daemon's monotonic clock.
    public let held: Duration
    /// What its holder said of itself, as the protocol spells it.
    public let note: String?

    init?(_ predecessor: Predecessor) {
        guard case .abandoned(let abandonment) = predecessor else { return nil }
        ending =
            switch abandonment.ending {
            case .ended: .ended
            case .expired: .expired
            case .revoked: .revoked
            }
        token = abandonment.token.value
        processID = abandonment.process?.value
        userID = abandonment.user?.value
        command = abandonment.command?.spelling
        held = .milliseconds(abandonment.held.count)
        note = abandonment.note?.spelling
    }
}
