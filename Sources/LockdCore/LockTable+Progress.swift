public import LockdModel

/// How those who wait are told how that goes.
extension LockTable {
    /// When somebody who waits is to be told how that goes, or `nil` if nobody is.
    ///
    /// Apply ``Event/progressDue`` no earlier than this, and soon after.
    public var nextProgress: MonotonicInstant? {
        mutating get { progress.nextInstant(lastInstant) }
    }

    /// Tells a claim that begins to wait where it stands, if it wants to hear of that from now on.
    mutating func beginReports(to wait: Int, every interval: Milliseconds, _ effects: inout [Effect]) {
        let (situation, slots) = (situation(ofWait: wait), claims[wait].locks)
        progress.add(wait, claims[wait].arrival, every: interval, told: situation, on: slots, at: lastInstant)
        report(situation, to: wait, &effects)
    }

    /// Tells those whose turn it is to be told, and for whom something has changed.
    mutating func tellProgress(_ effects: inout [Effect]) {
        var steps = limits.reportsPerTurn
        progress.takeNews(&steps, at: lastInstant)
        while steps > 0, let wait = progress.takeDue(by: lastInstant) {
            steps -= 1
            // Nobody would hear of it. Once it is attached, it is told anew.
            if isHeldBack(wait) { continue }
            let situation = situation(ofWait: wait)
            guard progress.update(wait, situation, on: claims[wait].locks, at: lastInstant) else { continue }
            report(situation, to: wait, &effects)
        }
    }

    /// Takes note that the latest report to a request was not sent: if that waits still, it is told anew, as it is then.
    public mutating func reportWasDropped(_ id: RequestID) {
        guard let session = sessionSlots[id.session] else { return }
        let wait = id.tag.map { sessions[session].waitsByTag[$0] } ?? untaggedWait(of: session)
        if let wait { progress.forgetTold(wait, at: lastInstant) }
    }

    private mutating func untaggedWait(of session: Int) -> Int? {
        sessions[session].waits.slots(in: claims).first { claims[$0].id.tag == nil }
    }

    private mutating func situation(ofWait wait: Int) -> WaitSituation {
        let lock = obstacle(of: wait)
        let index = locks[lock].queue.index(of: claims[wait].place(at: wait))
        return WaitSituation(lock: lock, position: index + 1, token: locks[lock].holders.first?.number)
    }

    private mutating func report(_ situation: WaitSituation, to wait: Int, _ effects: inout [Effect]) {
        let (holder, waiterCount) = self.situation(of: situation.lock)
        let queueing = Queueing(
            position: situation.position,
            obstacle: claims[wait].locks.isSingle ? nil : locks[situation.lock].name,
            holder: holder,
            waiterCount: waiterCount
        )
        effects.append(.sendQueued(claims[wait].id, names(of: wait), queueing))
    }
}
