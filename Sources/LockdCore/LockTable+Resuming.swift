import LockdModel

/// Requests that a session sends again, once it is resumed, because it has not heard of them.
///
/// Whatever arrived before it was resumed is known by its tag and its names.
extension LockTable {
    /// Whether the request waits already, so that there is nothing to do.
    mutating func goesOn(_ request: AcquireRequest, in session: Int, _ effects: inout [Effect]) -> Bool {
        guard sessions[session].resumedThrough > 0, let tag = request.id.tag,
            let wait = sessions[session].waitsByTag[tag],
            claims[wait].arrival <= sessions[session].resumedThrough, isOnTheSame(request.terms.names, wait)
        else { return false }
        settleLocks(of: wait, &effects)
        // If it was due to be granted, or to end, that was said just now.
        if sessions[session].waitsByTag[tag] == wait { progress.forgetTold(wait, at: lastInstant) }
        return true
    }

    /// Whether the request has become a lease already; then that is said again.
    mutating func wasGranted(
        _ request: AcquireRequest,
        in session: Int,
        on slots: [Int],
        _ effects: inout [Effect]
    ) -> Bool {
        guard let lease = leaseFromBefore(request, in: session, on: slots), let token = claims[lease].token else {
            return false
        }
        let (names, timeToLive) = (names(of: lease), claims[lease].timeToLive)
        // Whom it came after was said then.
        effects.append(.sendGranted(request.id, names, token: token, timeToLive: timeToLive, after: .unremarkable))
        return true
    }

    /// The lease that came of the request when that was sent before: of several, which is for tags that were used again, the last.
    private mutating func leaseFromBefore(_ request: AcquireRequest, in session: Int, on slots: [Int]) -> Int? {
        guard sessions[session].resumedThrough > 0, request.id.tag != nil, let lock = slots.first,
            slots.count == request.terms.names.count
        else { return nil }
        let bound = bindings.leases(of: request.id).filter { !isOver($0) }
        let candidates = leases(of: session, on: lock).filter { claims[$0].id == request.id } + bound
        return candidates.filter { lease in
            claims[lease].arrival <= sessions[session].resumedThrough && isOnTheSame(request.terms.names, lease)
        }.max { claims[$0].arrival < claims[$1].arrival }
    }

    private mutating func isOnTheSame(_ names: LockNames, _ claim: Int) -> Bool {
        let slots = claims[claim].locks
        return slots.count == names.count
            && names.allSatisfy { self.names.slot(of: $0, in: &locks).map(slots.contains) ?? false }
    }
}
