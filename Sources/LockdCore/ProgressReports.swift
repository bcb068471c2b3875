import DequeModule
import LockdModel

/// Who of those who wait wants to hear how that goes, and who has to be told again.
///
/// A hand-over changes the place of everybody behind it, and costs the same however many that are: it only notes that there is news of the lock. Whoever
/// has been told of everything so far *listens* there; when there is news, listeners are moved from there to the reports that are *due*, each at the
/// instant from which it may be told again, and that is worked off bit by bit. Nobody is looked at again who was not told since. Where nothing changes,
/// nothing happens.
struct ProgressReports: Sendable {
    /// What is kept of a claim that waits.
    private struct Report: Sendable {
        let interval: Milliseconds
        let arrival: UInt64
        /// Nothing if it is to be told whatever it was told before.
        var told: WaitSituation?
        /// It is not told again before.
        var nextInstant: MonotonicInstant
        /// The locks where it listens.
        var listensTo: Set<Int> = []
    }

    /// What is kept of a lock.
    private struct Audience: Sendable {
        /// Who has been told of everything; some have gone since.
        var listeners: Deque<Place> = []
        /// How many of them have.
        var goneCount = 0
        /// It is in the list of locks with news.
        var hasNews = false
    }

    private var reports: [Int: Report] = [:]
    private var audiences: [Int: Audience] = [:]
    private var due = DeadlineQueue()
    /// The locks with news that not all listeners have been moved for, each once; some may be forgotten since.
    private var locksWithNews: Deque<Int> = []

    /// So many listeners of a lock that have gone are never worth a sweep.
    private static let goneLimit = 16

    /// Whether nobody wants to hear anything.
    var isEmpty: Bool { reports.isEmpty }
    var count: Int { reports.count }

    /// How often a claim that waits wants to hear something.
    func interval(of claim: Int) -> Milliseconds? { reports[claim]?.interval }

    /// When somebody is to be told, or looked at: `now` if there is news.
    func nextInstant(_ now: MonotonicInstant) -> MonotonicInstant? {
        locksWithNews.isEmpty ? due.earliest?.instant : now
    }

    /// Takes in a claim that waits on `slots` and was told just now, or is to be told, whatever it was told before.
    mutating func add(
        _ claim: Int,
        _ arrival: UInt64,
        every interval: Milliseconds,
        told: WaitSituation?,
        on slots: LockSlots,
        at now: MonotonicInstant
    ) {
        reports[claim] = Report(interval: interval, arrival: arrival, told: told, nextInstant: now + interval)
        if told == nil { forgetTold(claim, at: now) }
        listen(claim, to: slots)
    }

    /// Forgets a claim that waits no longer.
    mutating func remove(_ claim: Int) {
        guard let report = reports.removeValue(forKey: claim) else { return }
        if due.deadline(of: claim) != nil { due.remove(claim) }
        for lock in report.listensTo { noteGoneListener(of: lock) }
    }

    /// Takes note that a listener has gone, and sweeps out all who have once they are most: without news nobody would.
    private mutating func noteGoneListener(of lock: Int) {
        audiences[lock]?.goneCount += 1
        let goneCount = audiences[lock]?.goneCount ?? 0
        guard goneCount > Self.goneLimit, 2 * goneCount > audiences[lock]?.listeners.count ?? 0 else { return }
        let reports = reports
        audiences[lock]?.listeners.removeAll { reports[$0.claim]?.arrival != $0.number }
        audiences[lock]?.goneCount = 0
    }

    /// Takes note that a lock has other holders, or that somebody has left its queue.
    mutating func noteNews(of lock: Int) {
        guard let audience = audiences[lock], !audience.hasNews, !audience.listeners.isEmpty else { return }
        audiences[lock]?.hasNews = true
        locksWithNews.append(lock)
    }

    /// Forgets a lock that nobody waits for.
    mutating func forget(lock: Int) {
        // Asked for at nearly every release; nearly always there is nothing.
        guard let hasNews = audiences.isEmpty ? nil : audiences[lock]?.hasNews else { return }
        // As long as it is in the list it is not to get there again.
        audiences[lock] = hasNews ? Audience(hasNews: true) : nil
    }

    /// Moves listeners of locks with news to the reports that are due, one step for each of them, and no more than `steps`, which it counts down.
    mutating func takeNews(_ steps: inout Int, at now: MonotonicInstant) {
        while steps > 0, let lock = locksWithNews.first {
            steps -= 1
            guard let listener = audiences[lock]?.listeners.popFirst() else {
                audiences[lock] = nil
                locksWithNews.removeFirst()
                continue
            }
            schedule(listener, from: lock, now)
        }
    }

    private mutating func schedule(_ listener: Place, from lock: Int, _ now: MonotonicInstant) {
        // Another claim may have the slot of one that has gone.
        guard let report = reports[listener.claim], report.arrival == listener.number else {
            audiences[lock]?.goneCount -= 1
            return
        }
        reports[listener.claim]?.listensTo.remove(lock)
        guard due.deadline(of: listener.claim) == nil else { return }
        let instant = max(report.nextInstant, now)
        due.set(Deadline(instant: instant, isOfWait: true, number: listener.number, claim: listener.claim))
    }

    /// The claim that is to be looked at next, if it is due by `now`.
    mutating func takeDue(by now: MonotonicInstant) -> Int? {
        guard let first = due.earliest, first.instant <= now else { return nil }
        due.remove(first.claim)
        return first.claim
    }

    /// Takes note of how a claim's wait goes, and says whether it is to be told, because that is not what it was told before.
    mutating func update(_ claim: Int, _ situation: WaitSituation, on slots: LockSlots, at now: MonotonicInstant)
        -> Bool
    {
        listen(claim, to: slots)
        guard let report = reports[claim], report.told != situation else { return false }
        reports[claim]?.told = situation
        reports[claim]?.nextInstant = now + report.interval
        return true
    }

    /// Has a claim told anew, because the last report did not reach it.
    mutating func forgetTold(_ claim: Int, at now: MonotonicInstant) {
        guard let report = reports[claim] else { return }
        reports[claim]?.told = nil
        reports[claim]?.nextInstant = now
        due.set(Deadline(instant: now, isOfWait: true, number: report.arrival, claim: claim))
    }

    private mutating func listen(_ claim: Int, to slots: LockSlots) {
        guard let arrival = reports[claim]?.arrival else { return }
        for lock in slots where reports[claim]?.listensTo.insert(lock).inserted == true {
            audiences[lock, default: Audience()].listeners.append(Place(number: arrival, claim: claim))
        }
    }
}

/// Where a claim stands that waits: what it is told again about when it changes.
struct WaitSituation: Equatable, Sendable {
    /// The first lock on which it cannot be granted.
    let lock: Int
    /// Its place in the queue there; 1 is the next.
    let position: Int
    /// The token of the first holder.
    let token: UInt64?
}
