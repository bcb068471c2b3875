import LockdModel

/// When leases and waits end by time alone.
extension LockTable {
    /// Gives a claim a deadline in place of the one that it may have.
    mutating func setDeadline(of claim: Int, to instant: MonotonicInstant) {
        claims[claim].deadline = instant
        schedule(claim, at: instant)
    }

    /// Makes a claim end at `instant`, unless it ends otherwise before.
    mutating func schedule(_ claim: Int, at instant: MonotonicInstant) {
        let isOfWait = claims[claim].token == nil
        let number = claims[claim].place(at: claim).number
        let deadline = Deadline(instant: instant, isOfWait: isOfWait, number: number, claim: claim)
        deadlines.set(deadline)
        for lock in claims[claim].locks { locks[lock].deadlines.set(deadline) }
    }

    /// Makes a wait end when it runs out, or when its session is waited for no longer, whichever is first, if either is so.
    mutating func reschedule(_ wait: Int) {
        guard let end = [claims[wait].deadline, graces[wait]].compactMap({ $0 }).min() else { return unschedule(wait) }
        schedule(wait, at: end)
    }

    /// Has a claim end no more by time.
    mutating func clearDeadline(of claim: Int) {
        let endsOtherwise =
            endedSessionCount > 0 && hasEnded(claims[claim].session)
            || !graces.isEmpty && graces.removeValue(forKey: claim) != nil
        guard claims[claim].deadline != nil || endsOtherwise else { return }
        claims[claim].deadline = nil
        unschedule(claim)
    }

    private mutating func unschedule(_ claim: Int) {
        deadlines.remove(claim)
        for lock in claims[claim].locks { locks[lock].deadlines.remove(claim) }
    }
}
