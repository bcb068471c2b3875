import LockdModel
import LockdWire

/// Leases with a ttl are renewed in time.
extension ClientCore {
    /// How often a lease is renewed in the time of one ttl: three times, so a third of it passes from one renewal to the next.
    ///
    /// A renewal may then be late by two thirds of the ttl, because the machine is overloaded or this process was stopped, and the lease goes on. More often
    /// would win little (from a third to a quarter: a twelfth of the ttl) and cost every lease that is merely held more wake-ups.
    static let renewalsPerTimeToLive: Int64 = 3

    /// Renews what is due.
    mutating func renew(_ now: MonotonicInstant) {
        guard let nextRenewal, nextRenewal <= now else { return }
        self.nextRenewal = nil
        var due: [FencingToken] = []
        for (token, lease) in leases {
            guard lease.releasedFor.isEmpty, case .due(let instant) = lease.renewal else { continue }
            if instant <= now { due.append(token) } else { renewNoLaterThan(instant) }
        }
        for token in due.sorted() {
            guard let name = leases[token]?.names.first else { continue }
            leases[token]?.renewal = .sent
            send(.renew(name, token: token, timeToLive: nil), .renew(token, sentAt: now), now)
        }
    }

    /// Renews every lease that has a ttl: nobody knows what the daemon has heard of the renewals before.
    mutating func renewAll(_ now: MonotonicInstant) {
        for (token, lease) in leases where lease.timeToLive != nil {
            leases[token]?.renewal = .due(now)
            renewNoLaterThan(now)
        }
        renew(now)
    }

    /// Plans the renewal of a lease that goes on for its ttl at least, counted from `instant`.
    mutating func planRenewal(of token: FencingToken, from instant: MonotonicInstant) {
        guard let timeToLive = leases[token]?.timeToLive else { return }
        let due = instant + Milliseconds(max(1, timeToLive.count / Self.renewalsPerTimeToLive))
        leases[token]?.renewal = .due(due)
        renewNoLaterThan(due)
    }

    private mutating func renewNoLaterThan(_ due: MonotonicInstant) {
        nextRenewal = min(nextRenewal ?? due, due)
    }
}
