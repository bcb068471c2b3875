import LockdModel

/// What sessions ask for.
extension LockTable {
    mutating func acquire(_ request: AcquireRequest, _ effects: inout [Effect]) {
        searchCost = 0
        answer(request, &effects)
        guard let bound = request.boundHolder?.session else { return }
        // It did not get as far as to be bound.
        if bindings.claim(of: bound) == nil, sessionSlots[bound] == nil { effects.append(.unbind(bound)) }
    }

    private mutating func answer(_ request: AcquireRequest, _ effects: inout [Effect]) {
        let session = slot(of: request.id.session)
        if goesOn(request, in: session, &effects) { return }
        if let tag = request.id.tag, settledWait(under: tag, of: session, &effects) != nil {
            return refuse(request.id, .tagInUse(tag), &effects)
        }
        let terms = request.terms
        let found = settledLocks(on: terms.names, &effects)
        if wasGranted(request, in: session, on: found, &effects) { return }
        let held = leases(of: Owner(of: request.id, terms.owner), in: session, on: found)
        if !held.isEmpty { return answer(request, of: held, on: found, &effects) }
        let obstacle = found.first { !locks[$0].isFree(for: terms.holderLimit) }
        if obstacle == nil, !grantsAreSuspended { return acquireFree(request, in: session, &effects) }
        if !mayQueue(terms, on: found) || sessions[session].state != .open {
            totals.busy += 1
            // While grants are suspended, there may be nobody on the name, and no lock.
            let (holder, waiterCount) = (obstacle ?? found.first).map { situation(of: $0) } ?? (nil, 0)
            effects.append(.sendBusy(request.id, terms.names, holder: holder, waiterCount: waiterCount))
        } else if let refusal = refusalToQueue(terms, in: session, wasFree: obstacle == nil) {
            refuse(request.id, refusal, &effects)
        } else if let edges = deadlock(of: request, in: session, on: found) {
            totals.deadlocks += 1
            effects.append(.sendDeadlock(request.id, terms.names, edges))
        } else {
            let wait = enqueue(request, in: session, wasFree: obstacle == nil)
            if let interval = terms.progress { beginReports(to: wait, every: interval, &effects) }
            observeQueued(wait, &effects)
        }
    }

    /// Why the request would wait for ever, if it would.
    private mutating func deadlock(of request: AcquireRequest, in session: Int, on slots: [Int]) -> [DeadlockEdge]? {
        // Where there is no lock there is nobody to wait for.
        if slots.isEmpty { return nil }
        let owner = Owner(of: request.id, request.terms.owner)
        let limit = limits.deadlockSearch
        var search = DeadlockSearch(
            request.id,
            owner,
            request.terms.holderLimit,
            in: session,
            on: slots,
            stepLimit: limit
        )
        let isHopeless = search.isHopeless(in: &self)
        searchCost = search.steps
        return isHopeless ? search.edges(limit: limits.deadlockEdges, in: &self) : nil
    }

    /// Answers a request of an owner that holds some of the names already, or all, with the leases `held`; there are locks on some of the names.
    private mutating func answer(
        _ request: AcquireRequest,
        of held: [Int],
        on slots: [Int],
        _ effects: inout [Effect]
    ) {
        let areAllThere = slots.count == request.terms.names.count
        let covering = held.filter { areAllThere && slots.allSatisfy(claims[$0].locks.contains) }
        // The strictest; the first of those that are equal.
        guard let lease = covering.min(by: { claims[$0].holderLimit < claims[$1].holderLimit }) else {
            // Behind its own lease it would wait for itself.
            return refuse(request.id, .partlyHeld, &effects)
        }
        guard let token = claims[lease].token, claims[lease].holderLimit <= request.terms.holderLimit else {
            // To wait until the others are gone: two who both did that would wait for each other.
            return refuse(request.id, .stricterLease, &effects)
        }
        let timeToLive = claims[lease].timeToLive
        effects.append(.sendHeld(request.id, names(of: lease), token: token, timeToLive: timeToLive))
    }

    private mutating func mayQueue(_ terms: AcquireTerms, on slots: [Int]) -> Bool {
        guard terms.wait != .none else { return false }
        guard let limit = terms.queueLimit else { return true }
        return limit > 0 && slots.allSatisfy { locks[$0].queue.count < limit }
    }

    mutating func release(
        _ id: RequestID,
        _ name: LockName,
        _ token: FencingToken?,
        _ effects: inout [Effect]
    ) {
        guard let lease = lease(on: name, token, of: id, &effects) else { return }
        let slots = claims[lease.claim].locks
        totals.released += 1
        effects.append(.sendReleased(id, names(of: lease.claim), token: lease.token))
        endLease(lease.claim, .released, at: lastInstant, &effects)
        grantHeads(of: slots, since: lastInstant, &effects)
    }

    mutating func renew(
        _ id: RequestID,
        _ name: LockName,
        _ token: FencingToken?,
        _ timeToLive: Milliseconds?,
        _ effects: inout [Effect]
    ) {
        guard let (claim, token) = lease(on: name, token, of: id, &effects) else { return }
        if let timeToLive { claims[claim].timeToLive = timeToLive }
        let newTimeToLive = claims[claim].timeToLive
        if let newTimeToLive { setDeadline(of: claim, to: lastInstant + newTimeToLive) }
        noteChange(ofClaim: claim)
        effects.append(.sendRenewed(id, names(of: claim), token: token, timeToLive: newTimeToLive))
    }

    mutating func cancel(_ id: RequestID, _ tag: Tag, _ effects: inout [Effect]) {
        guard let wait = settledWait(under: tag, of: slot(of: id.session), &effects) else {
            effects.append(.sendNotWaiting(id, tag: tag))
            return
        }
        cancel(wait, &effects)
        effects.append(.sendWaitCancelled(id, tag: tag))
    }

    mutating func revoke(
        _ id: RequestID,
        _ name: LockName,
        _ token: FencingToken?,
        _ reason: Text?,
        _ effects: inout [Effect]
    ) {
        let session = slot(of: id.session)
        guard let lock = settledLock(on: name, &effects),
            let held = locks[lock].holders.places.first(where: { place in
                (token == nil || token?.value == place.number) && !isOver(place.claim)
            })
        else {
            effects.append(.sendNotHeld(id, name))
            return
        }
        let (lostToken, names, slots) = (FencingToken(held.number), names(of: held.claim), claims[held.claim].locks)
        let loser = claims[held.claim].session
        let holder = sessions[loser].peer.user
        guard loser == session || sessions[session].peer.user.mayAct(for: holder) else {
            effects.append(.sendDenied(id, names, token: lostToken, holder: holder))
            return
        }
        totals.revoked += 1
        let loss = LossReason.revoked(by: id.session, why: reason)
        effects.append(.sendLost(sessions[loser].id, names, token: lostToken, reason: loss))
        effects.append(.sendRevoked(id, names, token: lostToken))
        abandonLease(held.claim, .revoked, at: lastInstant, &effects)
        grantHeads(of: slots, since: lastInstant, &effects)
    }

    private mutating func acquireFree(
        _ request: AcquireRequest,
        in session: Int,
        _ effects: inout [Effect]
    ) {
        if sessions[session].load >= limits.leasesPerSession {
            refuse(request.id, .tooManyLeasesOfSession(limit: limits.leasesPerSession), &effects)
        } else if let refusal = refusalOfUser(request.terms, in: session, waits: false, isFree: true) {
            refuse(request.id, refusal, &effects)
        } else if leasesToCome + request.terms.names.count > limits.leases {
            refuse(request.id, .tooManyLeases(limit: limits.leases), &effects)
        } else {
            let charge = charge(request.terms, in: session, waits: false, isFree: true)
            histograms.waits.recordNothing()
            grant(insertClaim(request, in: session, on: takeLocks(on: request.terms.names), charge), &effects)
        }
    }

    /// How many leases there can be without anybody asking for another one.
    ///
    /// An exclusive claim that waits for one name becomes a lease only in place of another one that was on that name, perhaps in a later turn. One that is
    /// not exclusive can become a lease beside others; and in place of one on several names, as many leases can come as it has names. What could be granted
    /// and was not yet becomes a lease in place of none.
    private var leasesToCome: Int { leaseCounter + leaseReserve + locksWithGrantsDue.count + graces.count }

    private mutating func refusalToQueue(_ terms: AcquireTerms, in session: Int, wasFree: Bool) -> Refusal? {
        if sessions[session].load >= limits.leasesPerSession {
            return .tooManyLeasesOfSession(limit: limits.leasesPerSession)
        }
        if sessions[session].waits.count >= limits.waitersPerSession {
            return .tooManyWaitersOfSession(limit: limits.waitersPerSession)
        }
        if let refusal = refusalOfUser(terms, in: session, waits: true, isFree: wasFree) { return refusal }
        let needsReserve = terms.holderLimit != .exclusive || terms.names.count > 1 || wasFree
        if needsReserve, leasesToCome + terms.names.count > limits.leases {
            return .tooManyLeases(limit: limits.leases)
        }
        return waiterCount >= limits.waiters ? .tooManyWaiters(limit: limits.waiters) : nil
    }

    private mutating func enqueue(_ request: AcquireRequest, in session: Int, wasFree: Bool) -> Int {
        let slots = takeLocks(on: request.terms.names)
        let charge = charge(request.terms, in: session, waits: true, isFree: wasFree)
        let claim = insertClaim(request, in: session, on: slots, charge)
        claims[claim].wasFree = wasFree
        for lock in slots { locks[lock].queue.append(claims[claim].place(at: claim)) }
        sessions[session].waits.append(claim, in: &claims)
        if claims[claim].needsReserve { leaseReserve += slots.count }
        if let tag = request.id.tag { sessions[session].waitsByTag[tag] = claim }
        if case .after(let length) = request.terms.wait { setDeadline(of: claim, to: lastInstant + length) }
        noteWhomItHoldsUp(claim)
        makeHistograms(for: claim)
        if wasFree { putOffGrants(of: claim, since: suspendedUntil) }
        return claim
    }

    private mutating func insertClaim(
        _ request: AcquireRequest,
        in session: Int,
        on slots: LockSlots,
        _ charge: Charge
    ) -> Int {
        let (id, terms) = (request.id, request.terms)
        let claim = insertClaim(
            id,
            Owner(of: id, terms.owner),
            terms.note,
            terms.holderLimit,
            terms.timeToLive,
            in: session,
            on: slots,
            charge
        )
        if let holder = request.boundHolder { bindings.insert(holder, of: claim) }
        return claim
    }

    mutating func insertClaim(
        _ id: RequestID,
        _ owner: Owner,
        _ note: Text?,
        _ holderLimit: HolderLimit,
        _ timeToLive: Milliseconds?,
        in session: Int,
        on slots: LockSlots,
        _ charge: Charge
    ) -> Int {
        lastArrival += 1
        // Nothing but a claim on several locks ties them to one another.
        if !slots.isSingle { for lock in slots { locks[lock].setClaimCount += 1 } }
        let claim = claims.insert(
            Claim(
                id: id,
                session: session,
                holder: id.session,
                locks: slots,
                holderLimit: holderLimit,
                owner: owner,
                note: note,
                arrival: lastArrival,
                arrivedAt: lastInstant,
                charge: charge,
                since: lastInstant,
                timeToLive: timeToLive
            )
        )
        noteChange(ofClaim: claim)
        return claim
    }

    private mutating func refuse(_ id: RequestID, _ refusal: Refusal, _ effects: inout [Effect]) {
        totals.refused += 1
        effects.append(.sendRefused(id, refusal))
    }

    /// The claim that waits under `tag` after everything due on its lock has ended: it may be over, or a lease.
    private mutating func settledWait(under tag: Tag, of session: Int, _ effects: inout [Effect]) -> Int? {
        guard let claim = sessions[session].waitsByTag.isEmpty ? nil : sessions[session].waitsByTag[tag] else {
            return nil
        }
        settleLocks(of: claim, &effects)
        return sessions[session].waitsByTag[tag]
    }

    /// The lease that `id` speaks of, or nothing after having said that there is none.
    private mutating func lease(
        on name: LockName,
        _ token: FencingToken?,
        of id: RequestID,
        _ effects: inout [Effect]
    ) -> (claim: Int, token: FencingToken)? {
        let session = slot(of: id.session)
        if let lock = settledLock(on: name, &effects) {
            for claim in leases(of: session, on: lock) {
                if let held = claims[claim].token, token == nil || token == held { return (claim, held) }
            }
            if let token, let claim = boundLease(on: lock, token, for: sessions[session].peer.user) {
                return (claim, token)
            }
        }
        effects.append(.sendNotHeld(id, name))
        return nil
    }

    /// The leases that `owner` holds on any of the locks, each once, in the order in which they were granted on the first of them.
    private mutating func leases(of owner: Owner, in session: Int, on slots: [Int]) -> [Int] {
        var found: [Int] = []
        for lock in slots where !locks[lock].holders.isEmpty {
            for claim in leases(of: session, on: lock) where claims[claim].owner.isSame(as: owner) {
                // Those that are on an earlier one are there already.
                if slots.first(where: claims[claim].locks.contains) == lock { found.append(claim) }
            }
        }
        return found
    }

    /// The leases of the session on the lock that are not over, in the order in which they were granted.
    ///
    /// Looks at all of the lock or at all of the session, whichever are fewer.
    mutating func leases(of session: Int, on lock: Int) -> [Int] {
        let isFewer = locks[lock].holders.count <= sessions[session].leases.count
        let claims = isFewer ? locks[lock].holders.places.map(\.claim) : sessions[session].leases.slots(in: claims)
        return claims.filter {
            self.claims[$0].session == session && self.claims[$0].locks.contains(lock) && !isOver($0)
        }
    }

    /// Whether the lease has been due to end since before this event.
    ///
    /// It is there still only while more claims are to be granted its lock than one event may grant: they come first.
    mutating func isOver(_ lease: Int) -> Bool {
        hasEnded(claims[lease].session) || claims[lease].deadline.map { $0 <= lastInstant } ?? false
    }
}
