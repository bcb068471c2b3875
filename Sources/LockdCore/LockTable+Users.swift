public import LockdModel

/// What a user may have, all of its sessions together.
extension LockTable {
    /// How many more bytes may be kept for the user; less than nothing if more were buffered than may be.
    public mutating func bytesLeft(for user: UserID) -> Int {
        guard let slot = users.slots[user] else { return User(user, limits: limits).bytesLeft }
        return users[slot].bytesLeft
    }

    /// How many users there is something of.
    public var userCount: Int { users.slots.count }

    /// Which limit of the user stands in the way of a request that is granted at once, or `waits`, perhaps for names that are free.
    mutating func refusalOfUser(_ terms: AcquireTerms, in session: Int, waits: Bool, isFree: Bool) -> Refusal? {
        let user = sessions[session].user
        if !users[user].admits(leases: leaseCharge(of: terms, isFree: isFree)) {
            return .tooManyLeasesOfUser(limit: limits.leasesPerUser)
        }
        if waits, users[user].waitsLeft <= 0 { return .tooManyWaitersOfUser(limit: limits.waitersPerUser) }
        if users[user].bytesLeft < Charge.byteCount(of: terms) {
            return .tooManyBytesOfUser(limit: limits.bytesPerUser)
        }
        return nil
    }

    /// Charges the session's user with a claim, which has not been refused.
    mutating func charge(_ terms: AcquireTerms, in session: Int, waits: Bool, isFree: Bool) -> Charge {
        let leases = leaseCharge(of: terms, isFree: isFree)
        let user = sessions[session].user
        guard let charge = users.charge(user, leases: leases, bytes: Charge.byteCount(of: terms)) else {
            preconditionFailure("user \(users[user].id) has no room for \(terms.names)")
        }
        if waits { users[user].beginWait() }
        return charge
    }

    /// Takes note that a claim waits no longer: it is a lease next, or leaves the table.
    mutating func endWaitOfUser(_ claim: Int) {
        let charge = claims[claim].charge
        let leases = claims[claim].locks.count
        users[charge.user].endWait(newLeases: leases - charge.leaseCount)
        claims[claim].charge.leaseCount = leases
    }

    /// Takes a claim out of the table that neither waits nor holds, with what its user was charged with for it.
    @inline(__always)
    mutating func remove(_ claim: Int) {
        noteChange(ofClaim: claim)
        users.refund(claims[claim].charge)
        claims.remove(at: claim)
    }

    private func leaseCharge(of terms: AcquireTerms, isFree: Bool) -> Int {
        !isFree && terms.holderLimit == .exclusive && terms.names.count == 1 ? 0 : terms.names.count
    }
}
