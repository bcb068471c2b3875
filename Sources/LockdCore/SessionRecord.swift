public import LockdModel

/// What a session is, as far as it matters to the next daemon.
public struct SessionRecord: Hashable, Sendable {
    /// Its number.
    public var id: SessionID
    /// The process that it belongs to.
    public var peer: Peer
    /// When it ended, if it has, and its leases are still to be worked off.
    public var endedAt: MonotonicInstant?
    /// It is a lease that is bound to something else than a connection.
    public var isBound: Bool
    /// Since when it has had no connection; nothing if it has one.
    public var detachedAt: MonotonicInstant?
    /// The arrival of the last of all requests before it was resumed; 0 if it never was.
    ///
    /// What has arrived since was not asked for before.
    public var resumedThrough: UInt64
    /// If it is a bound lease: the user whose account that counts for, if that is not its peer's.
    public var payer: UserID?

    /// Whether it has ended.
    public var hasEnded: Bool { endedAt != nil }

    /// A session with these properties.
    public init(
        id: SessionID,
        peer: Peer,
        endedAt: MonotonicInstant? = nil,
        isBound: Bool = false,
        detachedAt: MonotonicInstant? = nil,
        resumedThrough: UInt64 = 0,
        payer: UserID? = nil
    ) {
        self.id = id
        self.peer = peer
        self.endedAt = endedAt
        self.isBound = isBound
        self.detachedAt = detachedAt
        self.resumedThrough = resumedThrough
        self.payer = payer
    }
}
