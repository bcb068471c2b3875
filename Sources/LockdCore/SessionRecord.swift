public import LockdModel

/// What a session is, as far as it matters to the next daemon.
public struct SessionRecord: Hashable, Sendable {
    /// Its number.
    public var id: SessionID
    /// The process that it belongs to.
    public var peer: Peer
    /// It has ended, and has leases that are still to be worked off.
    public var hasEnded: Bool
    /// It is a lease that is bound to something else than a connection.
    public var isBound: Bool
    /// Since when it has had no connection; nothing if it has one.
    public var detachedAt: MonotonicInstant?

    /// A session with these properties.
    public init(
        id: SessionID,
        peer: Peer,
        hasEnded: Bool = false,
        isBound: Bool = false,
        detachedAt: MonotonicInstant? = nil
    ) {
        self.id = id
        self.peer = peer
        self.hasEnded = hasEnded
        self.isBound = isBound
        self.detachedAt = detachedAt
    }
}
