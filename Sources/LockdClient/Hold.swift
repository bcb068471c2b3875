import LockdModel
import LockdWire

/// A lease that has ended, as the daemon remembers it.
public struct Hold: Hashable, Sendable {
    /// How a lease has ended.
    public enum Outcome: Hashable, Sendable {
        /// Its holder released it.
        case released
        /// Its ttl ran out.
        case expired
        /// Somebody revoked it.
        case revoked
        /// It ended with the process or the connection of its holder, or with what it was bound to.
        case ended
    }

    /// The name of the lock.
    public let lockName: String
    /// The fencing token of the lease.
    public let token: UInt64
    /// How it ended.
    public let outcome: Outcome
    /// Who held it.
    public let holder: LockPeer
    /// How long it had been waited for.
    public let waited: Duration
    /// How long it was held.
    public let held: Duration
    /// How long ago it ended, by the daemon's monotonic clock.
    public let ago: Duration
    /// What its holder said of itself, as the protocol spells it.
    public let note: String?

    init(_ line: Reply.HoldLine) {
        lockName = line.name.string
        token = line.token.value
        outcome = Outcome(line.outcome)
        holder = LockPeer(line.peer)
        waited = .milliseconds(line.waited.count)
        held = .milliseconds(line.held.count)
        ago = .milliseconds(line.ago.count)
        note = line.note?.spelling
    }
}

extension Hold.Outcome {
    init(_ outcome: LeaseOutcome) {
        self =
            switch outcome {
            case .released: .released
            case .expired: .expired
            case .revoked: .revoked
            case .ended: .ended
            }
    }
}
