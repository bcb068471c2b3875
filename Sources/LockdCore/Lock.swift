import LockdModel

/// One lock: who holds its name, and who waits for it.
///
/// A lock that nobody holds or waits for is kept for a while: most names come again.
struct Lock: Linked {
    let name: LockName
    /// Who holds the name.
    var holders = Holders()
    /// The claims that wait for the name, by arrival.
    var queue = AscendingDeque<Place>()
    /// How many of the claims on it are on other locks as well.
    var setClaimCount = 0
    /// When which of the leases and waits ends.
    var deadlines = DeadlineQueue()
    /// Since when the claim at the head of the queue could have been granted, if that has not been done yet.
    var grantsAreDueSince: MonotonicInstant?
    /// What the next one to be granted is told of whoever held the name before.
    var predecessor = Predecessor.unremarkable
    /// Where in the history the last lease on it is that has ended.
    var latestHold = HoldPlace.nowhere
    /// Where the histograms of its name are, if that has its own.
    var histograms: Int?
    /// The slot of another lock, whose name has the same fingerprint.
    var nextWithSameFingerprint: Int?
    /// In the list of idle locks, or in that of locks with grants due.
    var links = Links()

    mutating func vacate() { self = Lock(name: .placeholder) }

    /// Removes a lease, which must be there; says where in the history it is to be remembered, if that has places for the lock, and in which histograms.
    mutating func removeHolder(
        _ place: Place,
        _ limit: HolderLimit,
        ringSize: Int,
        limits: (Place) -> HolderLimit
    ) -> (HoldPlace, histograms: Int?) {
        holders.remove(place, limit, limits: limits)
        latestHold.advance(ringSize)
        return (latestHold, histograms)
    }

    /// Whether the claim `wait`, which waits and tolerates so many holders, is the next one to be granted and they admit it.
    func admits(_ wait: Int, _ limit: HolderLimit) -> Bool { queue.first?.claim == wait && holders.admit(limit) }

    /// Whether a new request that tolerates so many holders need not wait.
    func isFree(for limit: HolderLimit) -> Bool { queue.isEmpty && holders.admit(limit) }

    /// Whether nobody holds the name or waits for it.
    var isIdle: Bool { holders.isEmpty && queue.isEmpty }
}

/// The place of a claim among others: by its token, or by its arrival.
struct Place: Comparable, Sendable {
    let number: UInt64
    /// The slot of the claim.
    let claim: Int

    static func == (left: Self, right: Self) -> Bool { left.number == right.number }
    static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}
