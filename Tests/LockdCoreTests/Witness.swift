import LockdModel

@testable import LockdCore

/// Compares what those who watch are told of an event with all else that is known of it.
struct Witness {
    private let before: Totals
    private let waiterCount: Int
    private let nextToken: FencingToken

    /// A witness of the event that `table` is about to be told of.
    init(of table: LockTable) {
        (before, waiterCount, nextToken) = (table.totals, table.waiterCount, table.nextToken)
    }

    /// Looks at what came of the event.
    func observe(_ effects: [Effect], in table: LockTable) throws(Complaint) {
        try compareNumbers(effects, table)
        try compareNeighbours(effects)
        try compareHistory(effects, table)
    }

    /// As many observations as totals have counted.
    private func compareNumbers(_ effects: [Effect], _ table: LockTable) throws(Complaint) {
        var seen = Totals()
        var queuedCount = 0
        for case .observe(let observation) in effects {
            switch observation.happening {
            case .queued: queuedCount += 1
            case .unqueued(_, .timeout): seen.timeouts += 1
            case .unqueued(_, .cancelled): seen.cancelled += 1
            case .granted: seen.granted += 1
            case .over(.released, _, _, _): seen.released += 1
            case .over(.expired, _, _, _): seen.expired += 1
            case .over(.revoked, _, _, _): seen.revoked += 1
            case .over(.ended, _, _, _): seen.ended += 1
            }
        }
        let now = table.totals
        try require(now.granted - before.granted == seen.granted, "grants were not observed")
        try require(now.released - before.released == seen.released, "releases were not observed")
        try require(now.expired - before.expired == seen.expired, "leases that expired were not observed")
        try require(now.revoked - before.revoked == seen.revoked, "revocations were not observed")
        try require(now.ended - before.ended == seen.ended, "leases that ended were not observed")
        try require(now.timeouts - before.timeouts == seen.timeouts, "waits that ran out were not observed")
        try require(now.cancelled - before.cancelled == seen.cancelled, "cancelled waits were not observed")
        // Whoever is granted has left a queue, but for one that asks and is granted at once.
        let left = seen.timeouts + seen.cancelled + seen.granted
        let surplus = table.waiterCount - (waiterCount + queuedCount - Int(left))
        try require(surplus == 0 || surplus == 1, "waits were not observed")
    }

    /// What is told to those who watch stands beside what is told to those whom it concerns.
    private func compareNeighbours(_ effects: [Effect]) throws(Complaint) {
        let effects = effects.filter { if case .unbind = $0 { false } else { true } }
        for (index, effect) in effects.enumerated() {
            let next = effects[(index + 1)...].first { if case .sendRevoked = $0 { false } else { true } }
            switch effect {
            case .sendGranted(let id, let names, let token, _, _):
                // What was granted before is only said again.
                if token < nextToken { continue }
                guard case .observe(let observation)? = next, case .granted(token, _, _) = observation.happening,
                    observation.names == names
                else { throw Complaint("the grant to \(id) was not observed") }
            case .sendReleased(_, let names, let token):
                try require(next, is: .released, of: token, names)
            case .sendLost(_, let names, let token, .expired): try require(next, is: .expired, of: token, names)
            case .sendLost(_, let names, let token, .revoked): try require(next, is: .revoked, of: token, names)
            case .sendCancelled(let id, let names, let waited):
                try require(next, is: .unqueued(waited: waited, .cancelled), of: id, names)
            case .sendTimedOut(let id, let names, let waited, _, _):
                try require(next, is: .unqueued(waited: waited, .timeout), of: id, names)
            case .sendHeld, .sendBusy, .sendQueued, .sendDeadlock, .sendRenewed, .sendNotHeld, .sendWaitCancelled,
                .sendNotWaiting, .sendRevoked, .sendDenied, .sendRefused, .unbind, .observe:
                break
            }
        }
    }

    /// What is observed of the end of a lease is also what its names remember.
    private func compareHistory(_ effects: [Effect], _ table: LockTable) throws(Complaint) {
        for case .observe(let observation) in effects {
            guard case .over(let outcome, let token, let held, let note) = observation.happening else { continue }
            for name in observation.names where table.lockSlot(of: name) != nil {
                let holds = table.holds(of: name)
                let hold = holds.first { $0.token == token }
                // So many may have ended since that it is forgotten.
                if hold == nil, holds.count == table.limits.holdsPerName { continue }
                try require(
                    hold?.outcome == outcome && hold?.held == held && hold?.note == note
                        && hold?.session == observation.session && hold?.peer == observation.peer,
                    "\(name) remembers another end of \(token)"
                )
            }
        }
    }

    private func require(
        _ effect: Effect?,
        is outcome: LeaseOutcome,
        of token: FencingToken,
        _ names: LockNames
    ) throws(Complaint) {
        guard case .observe(let observation)? = effect, case .over(outcome, token, _, _) = observation.happening,
            observation.names == names
        else { throw Complaint("the end of \(token), \(outcome), was not observed") }
    }

    private func require(
        _ effect: Effect?,
        is happening: Observation.Happening,
        of id: RequestID,
        _ names: LockNames
    ) throws(Complaint) {
        guard case .observe(let observation)? = effect, observation.happening == happening,
            observation.names == names, observation.session == id.session
        else { throw Complaint("the end of a wait of \(id) was not observed") }
    }

    private func require(_ condition: Bool, _ complaint: String) throws(Complaint) {
        if !condition { throw Complaint(complaint) }
    }
}
