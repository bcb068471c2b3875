/// How a lease has ended.
public enum LeaseOutcome: String, CaseIterable, Hashable, Sendable {
    /// Its holder gave it back.
    case released
    /// Its ttl ran out.
    case expired
    /// Somebody took it away.
    case revoked
    /// With its session, or with what it was bound to.
    case ended
}
