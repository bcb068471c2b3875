import LockdModel

/// What those who watch are told.
///
/// Each of these is called where it happens, and does nothing while nobody watches.
extension LockTable {
    /// A claim has started to wait.
    mutating func observeQueued(_ wait: Int, _ effects: inout [Effect]) {
        guard isObserved else { return }
        // It is the last everywhere.
        let position = locks[obstacle(of: wait)].queue.count
        observe(wait, .queued(position: position, note: claims[wait].note), &effects)
    }

    /// A claim is about to leave the table, having waited so long.
    mutating func observeUnqueued(
        _ wait: Int,
        _ waited: Milliseconds,
        _ reason: Observation.UnqueueReason,
        _ effects: inout [Effect]
    ) {
        guard isObserved else { return }
        observe(wait, .unqueued(waited: waited, reason), &effects)
    }

    /// A claim has become a lease.
    mutating func observeGranted(_ lease: Int, _ token: FencingToken, _ effects: inout [Effect]) {
        guard isObserved else { return }
        let (waited, note) = (claims[lease].since - claims[lease].arrivedAt, claims[lease].note)
        observe(lease, .granted(token: token, waited: waited, note: note), &effects)
    }

    /// A lease is about to leave the table, having ended so at `instant`.
    mutating func observeOver(
        _ lease: Int,
        _ outcome: LeaseOutcome,
        at instant: MonotonicInstant,
        _ effects: inout [Effect]
    ) {
        guard isObserved, let token = claims[lease].token else { return }
        let (held, note) = (instant - claims[lease].since, claims[lease].note)
        observe(lease, .over(outcome, token: token, held: held, note: note), &effects)
    }

    private mutating func observe(_ claim: Int, _ happening: Observation.Happening, _ effects: inout [Effect]) {
        let (session, peer) = (claims[claim].holder, sessions[claims[claim].session].peer)
        let names = names(of: claim)
        effects.append(.observe(Observation(names: names, session: session, peer: peer, happening: happening)))
    }
}
