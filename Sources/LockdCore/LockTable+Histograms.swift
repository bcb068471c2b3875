public import LockdModel

/// For how long leases were waited for and held.
extension LockTable {
    /// One histogram of those that there are.
    public struct HistogramLine: Hashable, Sendable {
        /// The name whose leases it counts; `nil` for all leases.
        public var name: LockName?
        /// What it is of.
        public var subject: HistogramSubject
        /// What was counted.
        public var histogram: Histogram
    }

    /// The histograms, at most `lineLimit` of those behind `cursor`, and where to go on: those of all leases first, then two for each name with its own.
    ///
    /// Nothing ends by that: what is due, and was not worked off yet, goes on.
    public mutating func histogramLines(
        after cursor: Cursor?,
        lineLimit: Int
    ) -> (lines: [HistogramLine], next: Cursor?) {
        let count = 2 + 2 * histograms.named.count
        guard let start = Int(exactly: cursor?.lock ?? 0), start < count else { return ([], nil) }
        let end = min(count, start + lineLimit)
        return ((start..<end).map { histogramLine($0) }, end < count ? Cursor(lock: UInt64(end), line: 0) : nil)
    }

    private mutating func histogramLine(_ index: Int) -> HistogramLine {
        let subject = index % 2 == 0 ? HistogramSubject.wait : .hold
        guard index >= 2 else {
            let histogram = subject == .wait ? histograms.waits : histograms.holds
            return HistogramLine(name: nil, subject: subject, histogram: histogram)
        }
        let own = histograms.named[index / 2 - 1]
        let histogram = subject == .wait ? own.waits(holderCount: holderCount(of: own.name)) : own.holds
        return HistogramLine(name: own.name, subject: subject, histogram: histogram)
    }

    private mutating func holderCount(of name: LockName) -> Int {
        names.slot(of: name, in: &locks).map { locks[$0].holders.count } ?? 0
    }

    /// Takes note that a claim starts to wait: its names get histograms of their own, as far as they may.
    mutating func makeHistograms(for wait: Int) {
        let user = sessions[claims[wait].session].peer.user
        for lock in claims[wait].locks where locks[lock].histograms == nil {
            let (name, holderCount) = (locks[lock].name, locks[lock].holders.count)
            locks[lock].histograms = histograms.add(name, for: user, holderCount: holderCount, limits)
        }
    }

    /// Takes note that a claim, which has waited until now, is granted.
    mutating func recordWait(of claim: Int) {
        let arrivedAt = claims[claim].arrivedAt
        histograms.waits.record(from: arrivedAt, to: lastInstant)
        for lock in claims[claim].locks {
            guard let place = locks[lock].histograms else { continue }
            histograms.recordWait(at: place, from: arrivedAt, to: lastInstant)
        }
    }

    func checkHistograms() {
        let named = histograms.named
        precondition(named.count <= limits.namedHistograms, "\(named.count) names have histograms of their own")
        for (place, own) in named.enumerated() {
            precondition(histograms.place(of: own.name) == place, "\(own.name) does not lead to its histograms")
        }
        for slot in locks.occupiedSlots {
            let lock = locks[slot]
            let place = histograms.place(of: lock.name)
            precondition(lock.histograms == place, "\(lock.name) does not know its histograms")
            guard let own = place.map({ named[$0] }) else { continue }
            let begun = own.earlierHolderCount + Int(own.queuedWaits.count)
            let known = lock.holders.count + Int(own.holds.count)
            precondition(begun <= known, "\(begun) leases on \(lock.name) have begun, and \(known) are known")
        }
    }
}
