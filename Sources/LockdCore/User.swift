import LockdModel

/// The account of one user: how much of what it may have is left.
///
/// What it has is counted down from its limits, so that a user without limits is one like others: it begins with more than anybody can use up.
struct User: Vacatable, Equatable {
    let id: UserID
    /// The sessions that belong to it, those among them that have ended and have leases still.
    var sessionCount = 0
    /// How many more leases it may have, those counted in that its waits can become: see ``Charge/leaseCount``.
    ///
    /// Less than nothing if exclusive waits, which count for nothing before, have become leases.
    private(set) var leasesLeft: Int
    /// How many more requests of its may wait.
    ///
    /// Less than nothing if fewer may than did, since the limits have changed.
    private(set) var waitsLeft: Int
    /// How many more bytes may be kept for it.
    ///
    /// Less than nothing if more was buffered than it may have.
    private(set) var bytesLeft: Int
    /// What is buffered for its sessions, outside of the table, as the table was told last.
    private(set) var bufferedByteCount = 0

    init(_ id: UserID, limits: Limits) {
        let isExempt = limits.exempts(id)
        self.id = id
        leasesLeft = isExempt ? .max : limits.leasesPerUser
        waitsLeft = isExempt ? .max : limits.waitersPerUser
        bytesLeft = isExempt ? .max : limits.bytesPerUser
    }

    /// Whether nothing of it is there.
    var isGone: Bool { sessionCount == 0 && bufferedByteCount == 0 }

    /// Whether it may have so many more leases; none are always possible.
    func admits(leases: Int) -> Bool { leases == 0 || leasesLeft >= leases }

    /// Takes leases and bytes from what is left, if there are so many, and says whether there were.
    mutating func take(leases: Int, bytes: Int) -> Bool {
        guard admits(leases: leases), bytesLeft >= bytes else { return false }
        leasesLeft -= leases
        bytesLeft -= bytes
        return true
    }

    /// Gives leases and bytes back.
    mutating func giveBack(leases: Int, bytes: Int) {
        leasesLeft += leases
        bytesLeft += bytes
    }

    mutating func beginWait() { waitsLeft -= 1 }

    /// Ends a wait of which a lease may come that was not counted before.
    mutating func endWait(newLeases: Int) {
        waitsLeft += 1
        leasesLeft -= newLeases
    }

    mutating func setBuffered(_ count: Int) {
        bytesLeft -= count - bufferedByteCount
        bufferedByteCount = count
    }

    mutating func change(from former: Limits, to limits: Limits) {
        if limits.exempts(id) { return }
        leasesLeft += limits.leasesPerUser - former.leasesPerUser
        waitsLeft += limits.waitersPerUser - former.waitersPerUser
        bytesLeft += limits.bytesPerUser - former.bytesPerUser
    }

    mutating func vacate() {}
}
