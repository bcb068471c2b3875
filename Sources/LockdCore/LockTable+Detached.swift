import LockdModel

/// What becomes of sessions that have no connection for a while, and of what they wait for.
extension LockTable {
    /// How many sessions have no connection, bound leases included that are not known to be bound to anything.
    public var detachedSessionCount: Int { detachedCount }

    mutating func detach(_ id: SessionID, _ effects: inout [Effect]) {
        let session = slot(of: id)
        guard sessions[session].detachedAt == nil else { return }
        // What was due before has happened before, and may have ended one of its waits, or granted it.
        settleWaits(of: session, &effects)
        setDetached(session, since: lastInstant)
        for wait in sessions[session].waits.slots(in: claims) where isAdmitted(wait) {
            // It was put off, and now others need not be so because of it.
            grantHeads(of: claims[wait].locks, since: lastInstant, &effects)
        }
    }

    mutating func attach(_ id: SessionID, _ effects: inout [Effect]) {
        let session = slot(of: id)
        // Whatever was waited for in vain up to now is over.
        settleWaits(of: session, &effects)
        sessions[session].resumedThrough = lastArrival
        noteChange(ofSession: session)
        let waits = sessions[session].waits.slots(in: claims)
        if !progress.isEmpty { for wait in waits { progress.forgetTold(wait, at: lastInstant) } }
        guard sessions[session].detachedAt.take() != nil else { return }
        detachedCount -= 1
        for wait in waits where graces.removeValue(forKey: wait) != nil {
            reschedule(wait)
            grantHeads(of: claims[wait].locks, since: lastInstant, &effects)
        }
    }

    /// Takes note that a session, which has one, has no connection any more.
    mutating func setDetached(_ session: Int, since instant: MonotonicInstant) {
        sessions[session].detachedAt = instant
        detachedCount += 1
        noteChange(ofSession: session)
    }

    /// Takes note that it does not matter any more whether a session has a connection.
    mutating func forgetDetached(_ session: Int) {
        if sessions[session].detachedAt.take() != nil { detachedCount -= 1 }
    }

    private mutating func settleWaits(of session: Int, _ effects: inout [Effect]) {
        if nothingIsDue { return }
        for wait in sessions[session].waits.slots(in: claims) where waits(wait, in: session) {
            settleLocks(of: wait, &effects)
        }
    }

    /// Whether a claim that waits is not to be granted, because nobody would hear of it.
    mutating func isHeldBack(_ wait: Int) -> Bool { detachedCount > 0 && isDetached(claims[wait].session) }

    mutating func isDetached(_ session: Int) -> Bool { sessions[session].detachedAt != nil }

    /// Waits for the session of a claim whose turn it has been since `instant`, unless it is waited for already.
    mutating func beginGrace(of wait: Int, since instant: MonotonicInstant) {
        guard graces[wait] == nil, let detachedAt = sessions[claims[wait].session].detachedAt else { return }
        graces[wait] = max(instant, detachedAt, restoredAt) + limits.detachedGrace
        reschedule(wait)
    }

    /// Whether at `instant` a wait ends because its session has not come back, and not because it has run out.
    mutating func endsForWantOfASession(_ wait: Int, at instant: MonotonicInstant) -> Bool {
        // A wait that runs out at the same instant has run out.
        graces[wait] == instant && claims[wait].deadline != instant
    }
}

/// What becomes of requests while nothing may be granted.
extension LockTable {
    /// Whether nothing is granted at this instant.
    var grantsAreSuspended: Bool { lastInstant < suspendedUntil }

    mutating func suspendGrants(until instant: MonotonicInstant) {
        suspendedUntil = max(suspendedUntil, instant)
        guard grantsAreSuspended else { return }
        // It is nobody's turn until then.
        for wait in graces.keys.sorted(by: { claims[$0].arrival < claims[$1].arrival }) {
            graces[wait] = nil
            reschedule(wait)
            putOffGrants(of: wait, since: suspendedUntil)
        }
    }

    /// Since when the grants of a lock are due that were put off; while they are suspended, that is to come.
    func grantsAreDueSince(on lock: Int) -> MonotonicInstant? {
        locks[lock].grantsAreDueSince.map { max($0, suspendedUntil) }
    }
}
