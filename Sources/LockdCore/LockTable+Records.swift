public import LockdModel

/// What a daemon leaves to the next one: the sessions, and the requests that wait or hold.
public struct TableRecord: Hashable, Sendable {
    /// The sessions.
    public var sessions: [SessionRecord] = []
    /// What waits and holds.
    public var claims: [ClaimRecord] = []

    /// Nothing.
    public init() {}
}

/// What is to be written down of the table, so that another one can go on from it.
///
/// Whoever keeps a record for each slot, and renews those that ``takeChanges(claims:sessions:)`` names, has a ``TableRecord`` of all that there is.
extension LockTable {
    /// Adds to `claims` and `sessions` the slots of those that have changed since the last call, each once; those in a slot that is free now have gone.
    ///
    /// Only while ``keepsChanges`` is set. The same claim or session stays in its slot for life, then another one may get it.
    public mutating func takeChanges(claims: inout [Int], sessions: inout [Int]) {
        changedClaims.take(into: &claims)
        changedSessions.take(into: &sessions)
    }

    /// Takes note of a change of a session that the table knows nothing of; does nothing if there is no such session.
    public mutating func noteChange(of session: SessionID) {
        if let slot = sessionSlots[session] { noteChange(ofSession: slot) }
    }

    /// The slot of a session, one that has ended and has leases still included.
    public func recordSlot(of session: SessionID) -> Int? { sessionSlots[session] }

    /// What is in a slot for claims; nothing if it is free.
    public mutating func claimRecord(in slot: Int) -> ClaimRecord? {
        guard claims.isOccupied(slot) else { return nil }
        return ClaimRecord(
            id: claims[slot].id,
            session: claims[slot].holder,
            names: names(of: slot),
            holderLimit: claims[slot].holderLimit,
            owner: claims[slot].owner.name,
            holdsUpOwner: claims[slot].holdsUpOwner && claims[slot].token == nil,
            note: claims[slot].note,
            arrival: claims[slot].arrival,
            arrivedAt: claims[slot].arrivedAt,
            token: claims[slot].token,
            since: claims[slot].since,
            timeToLive: claims[slot].timeToLive,
            deadline: claims[slot].deadline,
            progress: progress.interval(of: slot),
            boundHolder: bindings.holder(of: slot)
        )
    }

    /// What is in a slot for sessions; nothing if it is free.
    ///
    /// One that reads no more input is recorded as if it did: whoever restores it finds the end of the input again.
    public mutating func sessionRecord(in slot: Int) -> SessionRecord? {
        guard sessions.isOccupied(slot) else { return nil }
        let payer = users[sessions[slot].user].id
        return SessionRecord(
            id: sessions[slot].id,
            peer: sessions[slot].peer,
            endedAt: endInstant(of: slot),
            isBound: sessions[slot].isBound,
            detachedAt: sessions[slot].detachedAt,
            resumedThrough: sessions[slot].resumedThrough,
            payer: payer == sessions[slot].peer.user ? nil : payer
        )
    }

    /// Takes note that a claim is not what it was.
    @inline(__always)
    mutating func noteChange(ofClaim slot: Int) {
        if keepsChanges { changedClaims.mark(slot) }
    }

    /// Takes note that a session is not what it was.
    @inline(__always)
    mutating func noteChange(ofSession slot: Int) {
        if keepsChanges { changedSessions.mark(slot) }
    }

    /// Begins to keep changes, with everything that there is, or forgets those that were kept.
    mutating func restartChanges() {
        (changedClaims, changedSessions) = (ChangedSlots(), ChangedSlots())
        guard keepsChanges else { return }
        for slot in claims.occupiedSlots { changedClaims.mark(slot) }
        for slot in sessions.occupiedSlots { changedSessions.mark(slot) }
    }
}
