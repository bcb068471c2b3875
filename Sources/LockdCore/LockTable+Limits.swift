public import LockdModel

/// What the table takes on can change while it is in use.
extension LockTable {
    /// Takes on as much as `new` says from now on.
    ///
    /// Nothing ends by that. Where there is more than may be from now on, the next request that needs more is refused, until there is less. Of what
    /// `new` says, how many leases, waiters and bytes there may be can differ from before; how much one turn does, and what is remembered, cannot.
    public mutating func change(_ new: Limits) {
        var expected = new
        for field in Self.changeableLimits { expected[keyPath: field] = limits[keyPath: field] }
        precondition(expected == limits, "these limits cannot change while the table is in use: \(limits), not \(new)")
        precondition(new.waitersPerSession <= new.endingsPerTurn, "all waits of a session end in one turn")
        users.change(from: limits, to: new)
        limits = new
        for field in Self.changeableLimits {
            largestLimits[keyPath: field] = max(largestLimits[keyPath: field], new[keyPath: field])
        }
    }

    private static var changeableLimits: [WritableKeyPath<Limits, Int>] {
        [
            \.sessions, \.reservedSessions, \.sessionsPerUser, \.leases, \.leasesPerUser, \.leasesPerSession, \.waiters,
            \.waitersPerUser, \.waitersPerSession, \.bytesPerUser,
        ]
    }
}
