public import LockdModel

/// The leases that have ended.
extension LockTable {
    /// The last leases on `name` that have ended, the latest first.
    ///
    /// Apply ``Event/nameInspected(_:)`` before, so that what is due has ended.
    public func holds(of name: LockName) -> [Hold] {
        guard let lock = lockSlot(of: name), let latest = locks[lock].latestHold.index else { return [] }
        // What was due may have been worked off after what came later.
        return history.holds(upTo: latest).sorted { $0.endedAt > $1.endedAt }
    }

    /// Remembers a lease that is about to leave the table, for one of its locks; `place` is where, if that lock has a ring.
    @inline(__always)
    mutating func remember(_ hold: PlainHold, _ hasNote: Bool, of lease: Int, on lock: Int, at place: HoldPlace) {
        let index = place.index ?? makeHoldRing(for: lock, first: hold.token)
        let isSilent = history.holds[index].replace(with: hold)
        // Nearly always there is nothing to keep alive, and no text to count: the same session has come again, and has no note.
        if !isSilent || hasNote { rememberTexts(of: lease, on: lock, at: index) }
    }

    @inline(never)
    private mutating func rememberTexts(of lease: Int, on lock: Int, at index: Int) {
        history.setTexts(at: index, sessions[claims[lease].session].peer, claims[lease].note)
        while history.hasTooMuchText { giveUpHoldRing(butOf: lock) }
    }

    @inline(never)
    private mutating func makeHoldRing(for lock: Int, first token: FencingToken) -> Int {
        if !history.hasRoom { giveUpHoldRing() }
        let index = history.makeRing(for: lock, first: token)
        locks[lock].latestHold = HoldPlace(index)
        return index
    }

    /// Forgets the history of a lock on which no lease has ended for long; of another one than `exception`.
    private mutating func giveUpHoldRing(butOf exception: Int? = nil) {
        while let ring = history.order.first {
            let lock = history.rings[ring].lock
            guard let latest = locks[lock].latestHold.index else { preconditionFailure("ring \(ring) is nobody's") }
            if history.passOver(ring, latest: latest, anyhow: lock == exception) { continue }
            return forgetHistory(of: lock)
        }
    }

    /// Forgets the history of a lock.
    mutating func forgetHistory(of lock: Int) {
        guard let latest = locks[lock].latestHold.index else { return }
        history.removeRing(of: latest)
        locks[lock].latestHold = .nowhere
    }

    func checkHistory() {
        var (ringCount, textByteCount) = (0, 0)
        for slot in locks.occupiedSlots {
            guard let latest = locks[slot].latestHold.index else { continue }
            let name = locks[slot].name
            precondition(history.rings[latest / history.ringSize].lock == slot, "the history of \(name) is another's")
            let holds = history.holds(upTo: latest)
            precondition(!holds.isEmpty && holds.count <= limits.holdsPerName, "\(name) has \(holds.count) holds")
            precondition(holds.allSatisfy { $0.token < nextToken }, "the history of \(name) knows the future")
            ringCount += 1
            textByteCount += holds.reduce(0) { $0 + $1.textByteCount }
        }
        precondition(ringCount == history.rings.count, "\(history.rings.count) histories, but \(ringCount) locks")
        precondition(history.order.count == ringCount, "a history is not in the list")
        precondition(
            ringCount * limits.holdsPerName <= limits.holds,
            "\(ringCount) histories are more than there may be"
        )
        precondition(textByteCount == history.textByteCount, "the histories have \(textByteCount) bytes of texts")
    }
}

extension LeaseOutcome {
    /// How a lease has ended that was not released.
    init(_ ending: Abandonment.Ending) {
        self =
            switch ending {
            case .ended: .ended
            case .expired: .expired
            case .revoked: .revoked
            }
    }
}
