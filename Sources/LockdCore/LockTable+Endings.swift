import LockdModel

/// How leases and waits begin and end.
extension LockTable {
    /// The lock on `name` after everything due on it has ended, if there is one.
    ///
    /// It may be idle.
    mutating func settledLock(on name: LockName, _ effects: inout [Effect]) -> Int? {
        guard let lock = names.slot(of: name, in: &locks) else { return nil }
        if nothingIsDue { return lock }
        settle(lock, &effects)
        // If it has fallen idle, others may have since, so many that it was forgotten.
        return names.slot(of: name, in: &locks)
    }

    /// The locks on `names` after everything due on all of them has ended, as far as there are any.
    mutating func settledLocks(on names: LockNames, _ effects: inout [Effect]) -> [Int] {
        // Where one is settled after the other, another one may have been forgotten meanwhile.
        for name in names.others { _ = settledLock(on: name, &effects) }
        let first = settledLock(on: names.first, &effects)
        if names.others.isEmpty { return first.map { [$0] } ?? [] }
        return names.compactMap { self.names.slot(of: $0, in: &locks) }
    }

    /// Ends everything that is due on the lock, in the order in which it was due, and grants whose turn it is.
    ///
    /// What is due on a lock that is part of a claim on several cannot be told from what is due on those, and on the locks that they are tied to: then
    /// everything is worked off in its order, but at one instant no more than ``Limits/endingsPerTurn`` endings. What is left ends in its turn.
    mutating func settle(_ lock: Int, _ effects: inout [Effect]) {
        guard locks[lock].setClaimCount > 0 else {
            while endFirst(on: lock, dueBy: lastInstant, &effects) {}
            return
        }
        var endings = endingsLeft
        workOff(&endings, &effects)
        endingsLeft = endings
    }

    /// The same for all locks of a claim that waits.
    mutating func settleLocks(of wait: Int, _ effects: inout [Effect]) {
        if nothingIsDue { return }
        // If the wait ends, its locks may be forgotten.
        for lock in claims[wait].locks where locks.isOccupied(lock) { settle(lock, &effects) }
    }

    /// Whether time has nothing to do with what happens now, as is true of most requests.
    var nothingIsDue: Bool {
        @inline(__always) get {
            locksWithGrantsDue.isEmpty && (deadlines.earliest.map { $0.instant > lastInstant } ?? true)
        }
    }

    /// The locks on `names`, new or not, for somebody who is about to be granted them, or to wait.
    mutating func takeLocks(on names: LockNames) -> LockSlots {
        LockSlots(takeLock(on: names.first), names.others.map { takeLock(on: $0) })
    }

    private mutating func takeLock(on name: LockName) -> Int {
        if let lock = names.slot(of: name, in: &locks) {
            if locks[lock].isIdle { idleLocks.remove(lock, in: &locks) }
            return lock
        }
        let lock = locks.insert(Lock(name: name))
        locks[lock].histograms = histograms.place(of: name)
        names.insert(lock, in: &locks)
        return lock
    }

    /// Grants the locks to the claims at the heads of their queues, as many as they admit since `instant`, or lets those rest that are idle.
    ///
    /// No more than ``Limits/grantsPerTurn`` in one event; what is left is due then, and worked off like everything that is due.
    mutating func grantHeads(of locks: LockSlots, since instant: MonotonicInstant, _ effects: inout [Effect]) {
        grantHead(of: locks.first, since: instant, &effects)
        for lock in locks.others { grantHead(of: lock, since: instant, &effects) }
    }

    private mutating func grantHead(of lock: Int, since instant: MonotonicInstant, _ effects: inout [Effect]) {
        // Whoever comes here has ended something on the lock, or is about to grant it.
        if !progress.isEmpty { progress.noteNews(of: lock) }
        // What has been put off was due before, unless grants were suspended.
        let due = max(locks[lock].grantsAreDueSince ?? instant, suspendedUntil)
        while let head = locks[lock].queue.first, isAdmitted(head.claim) {
            if suspendedUntil > instant { return putOffGrants(of: head.claim, since: due) }
            if isHeldBack(head.claim) {
                beginGrace(of: head.claim, since: due)
                for other in claims[head.claim].locks { forgetGrantsDue(on: other) }
                break
            }
            if grantsLeft == 0 { return putOffGrants(of: head.claim, since: due) }
            grantsLeft -= 1
            endWait(head.claim)
            recordWait(of: head.claim)
            grant(head.claim, &effects)
            if claims[head.claim].locks.isSingle { continue }
            // Whoever is next for the other names may be admitted there as well.
            for other in claims[head.claim].locks where other != lock { grantHead(of: other, since: due, &effects) }
        }
        forgetGrantsDue(on: lock)
        restIfIdle(lock)
    }

    private mutating func forgetGrantsDue(on lock: Int) {
        guard locks[lock].grantsAreDueSince != nil else { return }
        locks[lock].grantsAreDueSince = nil
        locksWithGrantsDue.remove(lock, in: &locks)
    }

    /// Whether a claim that waits is the first for each of its locks, and all of them admit it.
    mutating func isAdmitted(_ wait: Int) -> Bool {
        let limit = claims[wait].holderLimit
        guard locks[claims[wait].locks.first].admits(wait, limit) else { return false }
        return claims[wait].locks.isSingle || claims[wait].locks.others.allSatisfy { locks[$0].admits(wait, limit) }
    }

    mutating func putOffGrants(of wait: Int, since instant: MonotonicInstant) {
        for lock in claims[wait].locks where locks[lock].grantsAreDueSince == nil {
            locks[lock].grantsAreDueSince = instant
            locksWithGrantsDue.append(lock, in: &locks)
        }
    }

    /// Makes a lease of a claim that does not wait (any more).
    mutating func grant(_ claim: Int, _ effects: inout [Effect]) {
        if !bindings.isEmpty { adopt(claim) }
        let token = makeLease(of: claim)
        let (id, timeToLive) = (claims[claim].id, claims[claim].timeToLive)
        let predecessor = takePredecessor(of: claim)
        effects.append(.sendGranted(id, names(of: claim), token: token, timeToLive: timeToLive, after: predecessor))
        observeGranted(claim, token, &effects)
    }

    /// What the holder of a lease is told of those before it: of several, of the one that was granted last.
    private mutating func takePredecessor(of lease: Int) -> Predecessor {
        var latest = Predecessor.unremarkable
        for lock in claims[lease].locks {
            latest = max(latest, locks[lock].predecessor)
            locks[lock].predecessor = .unremarkable
        }
        return latest
    }

    /// The names that a claim is on.
    mutating func names(of claim: Int) -> LockNames {
        let slots = claims[claim].locks
        if slots.isSingle { return LockNames(locks[slots.first].name) }
        return .mapping(locks[slots.first].name, slots.others) { locks[$0].name }
    }

    /// Makes a lease of a claim, of which somebody is to be told.
    mutating func makeLease(of claim: Int) -> FencingToken {
        precondition(tokensLeft > 0, "no token is left through \(reservedThrough)")
        let token = nextToken
        nextToken = FencingToken(token.value + 1)
        claims[claim].token = token
        claims[claim].since = lastInstant
        let (lock, session, timeToLive) = (claims[claim].locks.first, claims[claim].session, claims[claim].timeToLive)
        let (place, limit) = (Place(number: token.value, claim: claim), claims[claim].holderLimit)
        locks[lock].holders.append(place, limit)
        if !claims[claim].locks.isSingle {
            for lock in claims[claim].locks.others { locks[lock].holders.append(place, limit) }
            leaseReserve += claims[claim].locks.count - 1
        }
        sessions[session].leases.append(claim, in: &claims)
        if let timeToLive { setDeadline(of: claim, to: lastInstant + timeToLive) }
        leaseCounter += 1
        totals.granted += 1
        return token
    }

    /// Ends a lease that was not released, at `instant`, and remembers that for the next holder.
    mutating func abandonLease(
        _ claim: Int,
        _ ending: Abandonment.Ending,
        at instant: MonotonicInstant,
        _ effects: inout [Effect]
    ) {
        guard let token = claims[claim].token else { preconditionFailure("claim \(claim) holds nothing") }
        let peer = sessions[claims[claim].session].peer
        let predecessor = Predecessor.abandoned(
            Abandonment(
                ending,
                token: token,
                process: peer.process,
                user: peer.user,
                command: peer.command,
                held: instant - claims[claim].since,
                note: claims[claim].note
            )
        )
        for lock in claims[claim].locks { locks[lock].predecessor = predecessor }
        endLease(claim, LeaseOutcome(ending), at: instant, &effects)
    }

    /// Takes a lease out of the table that ended so, at `instant`.
    ///
    /// Its locks may be idle then: ``grantHeads(of:since:_:)`` follows.
    mutating func removeLease(_ claim: Int, _ outcome: LeaseOutcome, at instant: MonotonicInstant) {
        clearDeadline(of: claim)
        let grantedAt = removeHolder(claim, of: claims[claim].locks.first, outcome, at: instant)
        histograms.holds.record(from: grantedAt, to: instant)
        if !claims[claim].locks.isSingle {
            for lock in claims[claim].locks.others { _ = removeHolder(claim, of: lock, outcome, at: instant) }
            leaseReserve -= claims[claim].locks.count - 1
            untie(claims[claim].locks)
        }
        sessions[claims[claim].session].leases.remove(claim, in: &claims)
        leaseCounter -= 1
        remove(claim)
    }

    /// Takes a lease off one of its locks, and says when it was granted.
    private mutating func removeHolder(
        _ lease: Int,
        of lock: Int,
        _ outcome: LeaseOutcome,
        at instant: MonotonicInstant
    ) -> MonotonicInstant {
        let (place, limit) = (claims[lease].place(at: lease), claims[lease].holderLimit)
        let hold = PlainHold(
            token: FencingToken(place.number),
            outcome: outcome,
            session: claims[lease].holder,
            arrivedAt: claims[lease].arrivedAt,
            grantedAt: claims[lease].since,
            endedAt: instant
        )
        let hasNote = claims[lease].note != nil
        let (at, histograms) = locks[lock].removeHolder(place, limit, ringSize: history.ringSize) {
            claims[$0.claim].holderLimit
        }
        if let histograms { self.histograms.recordHold(at: histograms, from: hold.grantedAt, to: instant) }
        remember(hold, hasNote, of: lease, on: lock, at: at)
        return hold.grantedAt
    }

    /// Takes note that a claim on all of these locks has left the table.
    private mutating func untie(_ slots: LockSlots) {
        for lock in slots { locks[lock].setClaimCount -= 1 }
    }

    /// Takes a claim out of its queues.
    ///
    /// It is granted next, or leaves the table; in that case its locks may be idle.
    mutating func endWait(_ claim: Int) {
        clearDeadline(of: claim)
        let (place, session) = (claims[claim].place(at: claim), claims[claim].session)
        for lock in claims[claim].locks { locks[lock].queue.remove(place) }
        sessions[session].waits.remove(claim, in: &claims)
        endWaitOfUser(claim)
        if !progress.isEmpty { progress.remove(claim) }
        // Granted or not, it is something else from now on.
        noteChange(ofClaim: claim)
        if claims[claim].needsReserve { leaseReserve -= claims[claim].locks.count }
        if let tag = claims[claim].id.tag { sessions[session].waitsByTag[tag] = nil }
    }

    mutating func cancel(_ claim: Int, _ effects: inout [Effect]) {
        let slots = claims[claim].locks
        endCancelledWait(claim, &effects)
        // Who waited behind it may be admitted though it was not.
        grantHeads(of: slots, since: lastInstant, &effects)
    }

    private mutating func endCancelledWait(_ claim: Int, _ effects: inout [Effect]) {
        let (id, waited) = (claims[claim].id, lastInstant - claims[claim].since)
        effects.append(.sendCancelled(id, names(of: claim), waited: waited))
        observeUnqueued(claim, waited, .cancelled, &effects)
        totals.cancelled += 1
        leaveQueues(claim, &effects)
    }

    mutating func endInput(of id: SessionID, _ effects: inout [Effect]) {
        let session = slot(of: id)
        precondition(sessions[session].state == .open, "the input of session \(id) has ended already")
        for claim in sessions[session].waits.slots(in: claims) {
            // What was due before the input ended has ended before, and may have ended this wait, or granted it.
            if waits(claim, in: session) { settleLocks(of: claim, &effects) }
            if waits(claim, in: session) { cancel(claim, &effects) }
        }
        sessions[session].state = .draining
    }

    mutating func end(_ id: SessionID) {
        let session = slot(of: id)
        precondition(sessions[session].state == .draining, "the input of session \(id) has not ended")
        if sessions[session].leases.isEmpty {
            forget(session)
        } else {
            forgetDetached(session)
            sessions[session].state = .ended(at: lastInstant)
            noteChange(ofSession: session)
            endedSessionCount += 1
            for lease in sessions[session].leases.slots(in: claims) {
                schedule(lease, at: min(lastInstant, claims[lease].deadline ?? lastInstant))
            }
        }
    }

    /// Works off what is due, in the order in which it was due.
    mutating func workOff(_ effects: inout [Effect]) {
        var endings = limits.endingsPerTurn
        workOff(&endings, &effects)
    }

    /// The same, no more than `endings`, which it counts down.
    private mutating func workOff(_ endings: inout Int, _ effects: inout [Effect]) {
        while endings > 0, let (lock, instant) = nextDue, instant <= lastInstant {
            guard endFirst(on: lock, dueBy: instant, &effects) else { return }
            endings -= 1
        }
    }

    /// The lock on which something is due next, and when that is.
    var nextDue: (lock: Int, instant: MonotonicInstant)? {
        mutating get {
            let deadline = deadlines.earliest
            if let lock = locksWithGrantsDue.first, let since = grantsAreDueSince(on: lock),
                since <= deadline?.instant ?? since
            {
                return (lock, since)
            }
            guard let deadline else { return nil }
            return (claims[deadline.claim].locks.first, deadline.instant)
        }
    }

    /// Who holds the lock, sessions that have ended left out, and how many wait.
    mutating func situation(of lock: Int) -> (holder: Holding?, waiterCount: Int) {
        let waiterCount = locks[lock].queue.count
        var holderCount = locks[lock].holders.count
        var first = locks[lock].holders.first
        if endedSessionCount > 0 {
            let present = locks[lock].holders.places.filter { !hasEnded(claims[$0.claim].session) }
            (first, holderCount) = (present.first, present.count)
        }
        guard let claim = first?.claim else { return (nil, waiterCount) }
        let holding = Holding(
            session: sessions[claims[claim].session].id,
            held: lastInstant - claims[claim].since,
            note: claims[claim].note,
            holderCount: holderCount
        )
        return (holding, waiterCount)
    }

    /// Ends what is due first on the lock, if it is due by `instant`; a lease before a wait if they are due together.
    ///
    /// Says whether there was something, and it could be done in this event.
    private mutating func endFirst(
        on lock: Int,
        dueBy instant: MonotonicInstant,
        _ effects: inout [Effect]
    ) -> Bool {
        let earliest = locks[lock].deadlines.earliest
        if let since = grantsAreDueSince(on: lock), since <= min(instant, earliest?.instant ?? since) {
            guard grantsLeft > 0 else { return false }
            grantHead(of: lock, since: since, &effects)
            return true
        }
        guard let deadline = earliest, deadline.instant <= instant else { return false }
        let slots = claims[deadline.claim].locks
        if !deadline.isOfWait {
            endDueLease(deadline.claim, &effects)
        } else if endsForWantOfASession(deadline.claim, at: deadline.instant) {
            endCancelledWait(deadline.claim, &effects)
        } else {
            timeOut(deadline.claim, &effects)
        }
        grantHeads(of: slots, since: deadline.instant, &effects)
        return true
    }

    private mutating func timeOut(_ claim: Int, _ effects: inout [Effect]) {
        let (id, names, waited) = (claims[claim].id, names(of: claim), lastInstant - claims[claim].since)
        let (holder, waiterCount) = situation(of: obstacle(of: claim))
        totals.timeouts += 1
        // It is one of those who wait there still.
        effects.append(.sendTimedOut(id, names, waited: waited, holder: holder, waiterCount: waiterCount - 1))
        observeUnqueued(claim, waited, .timeout, &effects)
        leaveQueues(claim, &effects)
    }

    /// The first lock on which a claim that waits cannot be granted.
    mutating func obstacle(of wait: Int) -> Int {
        let (slots, limit) = (claims[wait].locks, claims[wait].holderLimit)
        if slots.isSingle { return slots.first }
        return slots.first { !locks[$0].admits(wait, limit) } ?? slots.first
    }

    /// Ends a wait without a lease.
    private mutating func leaveQueues(_ claim: Int, _ effects: inout [Effect]) {
        endWait(claim)
        if !bindings.isEmpty, let holder = bindings.remove(claim) { effects.append(.unbind(holder.session)) }
        if !claims[claim].locks.isSingle { untie(claims[claim].locks) }
        remove(claim)
    }

    /// Whether the claim is there and waits still, for this session.
    func waits(_ claim: Int, in session: Int) -> Bool {
        claims.isOccupied(claim) && claims[claim].session == session && claims[claim].token == nil
    }

    /// Ends a lease that is due: it expired if its deadline came first, else its session ended.
    private mutating func endDueLease(_ claim: Int, _ effects: inout [Effect]) {
        let session = claims[claim].session
        if let endedAt = endInstant(of: session) {
            // There is nobody left to tell.
            let expiredAt = claims[claim].deadline.flatMap { $0 <= endedAt ? $0 : nil }
            if expiredAt == nil { totals.ended += 1 } else { totals.expired += 1 }
            abandonLease(claim, expiredAt == nil ? .ended : .expired, at: expiredAt ?? endedAt, &effects)
            if sessions[session].leases.isEmpty {
                endedSessionCount -= 1
                forget(session)
            }
        } else if let token = claims[claim].token, let deadline = claims[claim].deadline {
            totals.expired += 1
            effects.append(.sendLost(sessions[session].id, names(of: claim), token: token, reason: .expired))
            abandonLease(claim, .expired, at: deadline, &effects)
        }
    }

    mutating func forget(_ session: Int) {
        let user = sessions[session].user
        noteChange(ofSession: session)
        forgetDetached(session)
        sessionSlots[sessions[session].id] = nil
        sessions.remove(at: session)
        users.removeSession(ofUserAt: user)
    }

    /// Lets a lock rest that nobody holds or waits for, and forgets the one that has rested longest if too many do.
    mutating func restIfIdle(_ lock: Int) {
        guard locks[lock].isIdle else { return }
        progress.forget(lock: lock)
        idleLocks.append(lock, in: &locks)
        guard idleLocks.count > limits.idleLocks, let oldest = idleLocks.first else { return }
        idleLocks.remove(oldest, in: &locks)
        names.remove(oldest, in: &locks)
        forgetHistory(of: oldest)
        locks.remove(at: oldest)
    }
}
