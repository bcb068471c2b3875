import LockdModel

/// How bound leases begin and end.
extension LockTable {
    /// Makes a session of its own of a claim that is about to be granted and is to be bound.
    mutating func adopt(_ claim: Int) {
        guard let holder = bindings.remove(claim) else { return }
        // Who has asked for it pays for it.
        let user = claims[claim].charge.user
        users.addSession(ofUserAt: user)
        var session = Session(id: holder.session, peer: holder.peer, user: user)
        // It has no input. It never waits, so it is ready to end.
        (session.state, session.isBound) = (.draining, true)
        let slot = sessions.insert(session)
        sessionSlots[holder.session] = slot
        noteChange(ofSession: slot)
        claims[claim].move(to: slot, holder.session)
        bindings.insertLease(claim, of: claims[claim].id)
    }

    /// What a lease or wait was to be bound to has ended.
    mutating func endBinding(of id: SessionID, _ effects: inout [Effect]) {
        if let wait = bindings.claim(of: id) {
            settleLocks(of: wait, &effects)
            // By that it may have become a lease, or may be over.
            if let wait = bindings.claim(of: id) { return cancel(wait, &effects) }
        }
        if let session = sessionSlots[id], !hasEnded(session) { end(id) }
    }

    /// Ends a lease, so, at `instant`; if it is bound, its session ends with it.
    mutating func endLease(
        _ claim: Int,
        _ outcome: LeaseOutcome,
        at instant: MonotonicInstant,
        _ effects: inout [Effect]
    ) {
        let (id, session) = (claims[claim].id, claims[claim].session)
        observeOver(claim, outcome, at: instant, &effects)
        removeLease(claim, outcome, at: instant)
        guard sessions[session].isBound else { return }
        bindings.removeLease(claim, of: id)
        effects.append(.unbind(sessions[session].id))
        // Of a session that has ended with its lease still there, it is forgotten where that is worked off.
        if !hasEnded(session) { forget(session) }
    }

    /// The bound lease on the lock with this token, if the user has the right to end it.
    mutating func boundLease(on lock: Int, _ token: FencingToken, for user: UserID) -> Int? {
        // There may be many others, so it is not looked for among all of them.
        let places = locks[lock].holders.places
        guard token.value > 0, let place = places.elements(above: Place(number: token.value - 1, claim: -1)).first,
            place.number == token.value
        else { return nil }
        let session = claims[place.claim].session
        guard sessions[session].isBound, !isOver(place.claim), user.mayAct(for: sessions[session].peer.user) else {
            return nil
        }
        return place.claim
    }
}
