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

    /// Has a claim end no more by time.
    mutating func clearDeadline(of claim: Int) {
        let hasEnded = endedSessionCount > 0 && hasEnded(claims[claim].session)
        guard claims[claim].deadline != nil || hasEnded else { return }
        claims[claim].deadline = nil
        deadlines.remove(claim)
        for lock in claims[claim].locks { locks[lock].deadlines.remove(claim) }
    }
}
