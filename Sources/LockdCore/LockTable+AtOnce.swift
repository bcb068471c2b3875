public import LockdModel

/// A short way for what most requests are: a lock that nobody wants is acquired, or one that nobody else wants is released.
///
/// It decides nothing that ``apply(_:at:effects:)`` would not decide in the same way: either there is one thing that can happen, and it
/// happens, or nothing does, and the event is to be applied instead. No event, no effect and no name is made on the way, which is what
/// most of the time goes into otherwise.
extension LockTable {
    /// Grants the lock on `name` to a request that names nothing else, if it is free and all is well, and returns the token.
    ///
    /// The same as ``Event/acquireRequested(_:)`` with the one effect ``Effect/sendGranted(_:_:token:timeToLive:after:)``. Returns nothing, and has
    /// changed nothing, if that would have another effect, or might.
    public mutating func grantAtOnce(_ id: RequestID, _ name: PlainName, at now: MonotonicInstant) -> FencingToken? {
        advance(to: now)
        let session = slot(of: id.session)
        guard nothingIsDue, !isObserved, now >= suspendedUntil, let lock = names.slot(of: name, in: &locks),
            locks[lock].isIdle,
            case .unremarkable = locks[lock].predecessor,
            id.tag == nil || sessions[session].waits.isEmpty, sessions[session].load < limits.leasesPerSession,
            leaseCounter + leaseReserve + graces.count < limits.leases,
            let charge = users.charge(sessions[session].user, leases: 1, bytes: Charge.byteCount(of: name))
        else { return nil }
        idleLocks.remove(lock, in: &locks)
        histograms.waits.recordNothing()
        return makeLease(
            of: insertClaim(id, Owner(of: id), nil, .exclusive, nil, in: session, on: LockSlots(lock), charge)
        )
    }

    /// Ends the lease of the session on `name`, if nobody waits for it and all is well, and returns its token.
    ///
    /// The same as ``Event/releaseRequested(_:_:token:)`` with the one effect ``Effect/sendReleased(_:_:token:)``. Returns nothing, and has
    /// changed nothing, if that would have another effect, or might.
    public mutating func releaseAtOnce(_ id: RequestID, _ name: PlainName, at now: MonotonicInstant) -> FencingToken? {
        advance(to: now)
        let session = slot(of: id.session)
        guard nothingIsDue, !isObserved, let lock = names.slot(of: name, in: &locks), locks[lock].queue.isEmpty,
            let held = locks[lock].holders.first, claims[held.claim].session == session,
            claims[held.claim].locks.isSingle
        else { return nil }
        totals.released += 1
        removeLease(held.claim, .released, at: now)
        restIfIdle(lock)
        return FencingToken(held.number)
    }
}
