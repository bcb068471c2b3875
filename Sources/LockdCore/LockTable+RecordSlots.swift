public import LockdModel

/// Where what is recorded is.
extension LockTable {
    /// Whether ``takeChanges(claims:sessions:)`` has any to tell.
    public var hasChanges: Bool {
        // It is asked often: the whole table would be copied if it were passed by value.
        mutating get { !changedClaims.isEmpty || !changedSessions.isEmpty }
    }

    /// How many slots there are for claims and for sessions, free ones included.
    public var recordSlotCounts: (claims: Int, sessions: Int) { (claims.slotCount, sessions.slotCount) }

    /// Whether there is a claim in a slot.
    public mutating func hasClaim(in slot: Int) -> Bool { claims.isOccupied(slot) }

    /// How many leases a session has, and how many of its requests wait.
    public func loads(of id: SessionID) -> (leases: Int, waits: Int) {
        guard let slot = sessionSlots[id] else { return (0, 0) }
        return (sessions[slot].leases.count, sessions[slot].waits.count)
    }
}
