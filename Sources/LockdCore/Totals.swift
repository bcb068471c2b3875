/// How often something has happened since the table was made.
public struct Totals: Hashable, Sendable {
    /// Leases granted.
    public var granted: UInt64 = 0
    /// Leases given back.
    public var released: UInt64 = 0
    /// Leases whose ttl ran out.
    public var expired: UInt64 = 0
    /// Leases that somebody revoked.
    public var revoked: UInt64 = 0
    /// Leases that ended with their session.
    public var ended: UInt64 = 0
    /// Waits that ran out.
    public var timeouts: UInt64 = 0
    /// Waits that their session ended.
    public var cancelled: UInt64 = 0
    /// Requests that found the lock not free and could not wait.
    public var busy: UInt64 = 0
    /// Requests refused because they would have waited for ever.
    public var deadlocks: UInt64 = 0
    /// Requests refused otherwise.
    public var refused: UInt64 = 0
}
