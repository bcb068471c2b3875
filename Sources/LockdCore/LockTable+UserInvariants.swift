import LockdModel

extension LockTable {
    /// Checks that every account says what the sessions and the claims of its user add up to, and that there is none too many.
    func checkUsers() {
        let accounts = users.all
        var counted: [Int: User] = [:]
        for (slot, account) in accounts {
            precondition(users.slots[account.id] == slot, "user \(account.id) does not lead to its account")
            precondition(!account.isGone, "there is nothing of user \(account.id), but it has an account")
            counted[slot] = User(account.id, limits: limits)
            counted[slot]?.setBuffered(account.bufferedByteCount)
        }
        precondition(users.slots.count == counted.count, "\(counted.count) accounts, but \(users.slots.count) users")
        for slot in sessions.occupiedSlots {
            let session = sessions[slot]
            let isOwn = session.isBound || users.slots[session.peer.user] == session.user
            precondition(isOwn, "session \(session.id) is another user's")
            counted[session.user]?.sessionCount += 1
        }
        for slot in claims.occupiedSlots {
            let claim = claims[slot]
            precondition(claim.charge.user == sessions[claim.session].user, "another user pays for \(claim.arrival)")
            let waits = claim.token == nil
            let leases = waits && !claim.needsReserve ? 0 : claim.locks.count
            let bytes = Charge.byteCount(of: claim.locks.map { locks[$0].name }, claim.owner.name, claim.note)
            // A bound lease has no owner any more, and is paid for as it was asked for.
            let isAsAskedFor = sessions[claim.session].isBound || claim.charge.byteCount == bytes
            precondition(isAsAskedFor, "claim \(claim.arrival) has \(bytes) bytes, not \(claim.charge.byteCount)")
            counted[claim.charge.user]?.giveBack(leases: -leases, bytes: -claim.charge.byteCount)
            if waits { counted[claim.charge.user]?.beginWait() }
        }
        for (slot, account) in counted {
            precondition(accounts[slot] == account, "\(String(describing: accounts[slot])) should be \(account)")
            let least = limits.waitersPerUser - max(largestLimits.waitersPerUser, limits.waitersPerUser + restoredCount)
            precondition(
                account.waitsLeft >= least,
                "user \(account.id) has \(least - account.waitsLeft) waits too many"
            )
        }
    }
}
