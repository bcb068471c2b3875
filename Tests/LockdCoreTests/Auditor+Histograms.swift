import LockdCore
import LockdModel

/// What an auditor has counted of how long something took.
struct Tally {
    var counts = [UInt64](repeating: 0, count: Histogram.bounds.count + 1)
    var sum: UInt128 = 0

    mutating func record(from start: MonotonicInstant, to end: MonotonicInstant) {
        let length = UInt64(end.nanoseconds - start.nanoseconds)
        counts[Histogram.bounds.filter { $0 < length }.count] += 1
        sum += UInt128(length)
    }
}

/// How long leases were waited for and held, as an auditor counts it.
struct Timing {
    var waits = Tally()
    var holds = Tally()
    /// The leases of sessions that have ended of which it is not certain whether the table has counted them here.
    var doubtfulHolds = Tally()
}

extension Auditor {
    /// Takes note of a grant, of a request that came at `arrival`.
    mutating func recordWait(for names: LockNames, since arrival: MonotonicInstant) {
        timing.waits.record(from: arrival, to: now)
        for name in names { namedTimings[name]?.waits.record(from: arrival, to: now) }
    }

    /// Takes note of the end of a lease.
    mutating func recordHold(_ holder: Holder, until end: MonotonicInstant) {
        timing.holds.record(from: holder.grantedAt, to: end)
        for name in holder.names { namedTimings[name]?.holds.record(from: holder.grantedAt, to: end) }
    }

    /// Takes note that a request waits: its names are counted alone from now on, as far as they may be.
    mutating func noteTimings(of wait: Wait) {
        guard let user = clients[wait.request.id.session]?.peer.user else { return }
        for name in wait.names where namedTimings[name] == nil {
            let mineCount = namedTimingUsers.count { $0 == user }
            guard namedTimings.count < limits.namedHistograms,
                mineCount < limits.namedHistogramsPerUser || limits.exempts(user)
            else { continue }
            namedTimingUsers.append(user)
            timedNames.append(name)
            var timing = Timing()
            for lease in silent.values where silentCount > 0 && lease.names.contains(name) {
                timing.doubtfulHolds.record(from: lease.holder.grantedAt, to: lease.at)
            }
            namedTimings[name] = timing
        }
    }

    /// Takes note that another table counts from now on.
    mutating func restartTimings() {
        (timing, namedTimings, timedNames, namedTimingUsers) = (Timing(), [:], [], [])
        for wait in waits.values.sorted(by: { $0.number < $1.number }) { noteTimings(of: wait) }
        for lease in silent.values where silentCount > 0 {
            timing.doubtfulHolds.record(from: lease.holder.grantedAt, to: lease.at)
        }
    }

    /// Looks at all histograms of a table.
    func observe(histograms lines: [LockTable.HistogramLine]) throws(Complaint) {
        // Of what the table has not ended yet it is known already how long it was held.
        if silentCount > 0 { return }
        let names = timedNames.flatMap { [$0, $0] }
        try require(lines.map(\.name) == [nil, nil] + names, "the histograms are those of other names")
        for (index, line) in lines.enumerated() {
            let subject = index % 2 == 0 ? HistogramSubject.wait : .hold
            try require(line.subject == subject, "the histograms are in another order")
            guard let timing = line.name.map({ namedTimings[$0] }) ?? timing else { continue }
            let tally = subject == .wait ? timing.waits : timing.holds
            let doubtful = subject == .wait ? Tally() : timing.doubtfulHolds
            try require(line.histogram.count == line.histogram.counts.reduce(0, +), "a histogram has miscounted")
            let isCounted = zip(line.histogram.counts, zip(tally.counts, doubtful.counts)).allSatisfy {
                $0 >= $1.0 && $0 <= $1.0 + $1.1
            }
            let isSummed = line.histogram.sum >= tally.sum && line.histogram.sum <= tally.sum + doubtful.sum
            try require(
                isCounted && isSummed,
                "the \(subject) histogram of \(line.name as Any) is \(line.histogram), not \(tally)"
            )
        }
    }
}

extension LockTable {
    /// All histograms there are.
    mutating func allHistograms() -> [HistogramLine] { histogramLines(after: nil, lineLimit: .max / 2).lines }
}
