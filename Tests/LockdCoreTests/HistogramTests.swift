import LockdModel
import Testing

@testable import LockdCore

/// How long leases were waited for and held is counted, of all of them and of the names that somebody had to wait for.
@Suite struct HistogramTests {
    @Test(arguments: Histogram.bounds.indices)
    func bucketCountsUpToItsBoundAndThatToo(_ bucket: Int) {
        let bound = Histogram.bounds[bucket]
        #expect(Histogram.bucket(of: bound) == bucket)
        #expect(Histogram.bucket(of: bound + 1) == bucket + 1)
        #expect(Histogram.bucket(of: bound - 1) == bucket)
    }

    @Test func bucketIsFoundForEveryNumber() {
        let numbers = (0..<64).flatMap { [UInt64(1) << $0, (UInt64(1) << $0) - 1] } + [0, .max]
        for number in numbers {
            let expected = Histogram.bounds.firstIndex { number <= $0 } ?? Histogram.bounds.count
            #expect(Histogram.bucket(of: number) == expected)
        }
    }

    /// What the lookup of a bucket relies on.
    @Test func boundIsAtLeastTwiceTheOneBefore() {
        for (bound, next) in zip(Histogram.bounds, Histogram.bounds.dropFirst()) { #expect(2 * bound <= next) }
    }

    @Test func sumIsExactAndTimeNeverRunsBackwards() {
        var histogram = Histogram()
        let start = MonotonicInstant(nanoseconds: 5)
        histogram.record(from: start, to: MonotonicInstant(nanoseconds: 12))
        histogram.record(from: start, to: .distantFuture)
        histogram.record(from: start, to: .distantFuture)
        histogram.record(from: start, to: .distantFuture)
        histogram.record(from: start, to: MonotonicInstant(nanoseconds: 4))
        #expect(histogram.sum == 7 + 3 * UInt128(Int64.max - 5))
        #expect(histogram.counts.first == 2 && histogram.counts.last == 3 && histogram.count == 5)
    }

    @Test func everyLeaseIsCountedOnceAndEachOfItsNamesThatWasWaitedFor() throws {
        let table = TableFixture()
        table.acquire("db mail log", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.acquire("mail log", by: carol.tagged("1"))
        table.advance(.seconds(2))
        table.release("log", by: alice)
        table.advance(.seconds(1))
        table.revoke("db", by: bob)
        let all = table.histogram(of: nil)
        #expect(all.waits.count == 3 && all.waits.sum == 4_000_000_000)
        #expect(all.holds.count == 2 && all.holds.sum == 3_000_000_000)
        for name in ["db", "mail", "log"] as [LockName] {
            let own = table.histogram(of: name)
            #expect(own.waits.count == 1 && own.waits.sum == 2_000_000_000, "\(name)")
            #expect(own.holds.count == (name == "db" ? 2 : 1), "\(name)")
        }
    }

    @Test func nameThatNobodyWaitsForHasNone() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .none)
        #expect(table.histogramNames == [])
        table.acquire("db", by: bob.tagged("1"), wait: .after(.seconds(1)))
        #expect(table.histogramNames == ["db"])
        table.advance(.seconds(1))
        #expect(table.histogram(of: "db").waits.count == 0)
    }

    @Test func grantAtOnceIsAWaitOfNothing() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared)
        table.acquire("db", by: bob.tagged("1"))
        table.cancel("1", by: bob)
        table.acquire("db", by: carol, limit: .shared)
        #expect(table.histogram(of: "db").waits.counts.first == 1)
        table.release("db", by: alice)
        table.release("db", by: carol)
        table.acquire("db", by: carol)
        #expect(table.histogram(of: "db").waits.counts.first == 2)
        #expect(table.histogram(of: "db").holds.count == 2)
    }

    @Test func forgottenLockKeepsItsHistograms() {
        let table = TableFixture { $0.idleLocks = 1 }
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.release("db", by: alice)
        table.release("db", by: bob)
        for name in ["x", "y"] as [LockName] {
            table.acquire(LockNames(name), by: alice)
            table.release(name, by: alice)
        }
        #expect(table.table.lockSlot(of: "db") == nil)
        #expect(table.histogram(of: "db").holds.count == 2 && table.histogram(of: "db").waits.count == 1)
        table.acquire("db", by: alice)
        #expect(table.histogram(of: "db").waits.count == 2)
    }

    @Test func soManyNamesHaveTheirOwnAndNoMore() {
        let table = TableFixture { ($0.namedHistograms, $0.namedHistogramsPerUser) = (3, 2) }
        table.acquire("a b c d e", by: carol)
        table.acquire("a b c", by: bob.tagged("1"))
        #expect(table.histogramNames == ["a", "b"])
        table.acquire("d", by: carol.tagged("1"))
        table.acquire("e", by: carol.tagged("2"))
        #expect(table.histogramNames == ["a", "b", "d"])
    }

    @Test func rootMayHaveThemAll() {
        let table = TableFixture { ($0.namedHistograms, $0.namedHistogramsPerUser) = (3, 1) }
        table.open(dave, user: .root)
        table.acquire("a b c d", by: carol)
        table.acquire("a b c d", by: dave.tagged("1"))
        #expect(table.histogramNames == ["a", "b", "c"])
    }

    @Test func pagesGoOnWhereTheOneBeforeEnded() throws {
        let table = TableFixture()
        table.acquire("a b", by: alice)
        table.acquire("a b", by: bob.tagged("1"))
        var copy = table.table
        let all = copy.allHistograms()
        #expect(all.count == 6)
        var (lines, cursor): ([LockTable.HistogramLine], Cursor?) = ([], nil)
        repeat {
            let page = copy.histogramLines(after: cursor, lineLimit: 4)
            lines += page.lines
            cursor = page.next
        } while cursor != nil
        #expect(lines == all)
        #expect(copy.histogramLines(after: Cursor(lock: .max, line: 0), lineLimit: 4).lines.isEmpty)
    }

    @Test func auditorNoticesAMiscount() throws {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.advance(.seconds(1))
        table.release("db", by: alice)
        var copy = table.table
        let truth = copy.allHistograms()
        for index in truth.indices {
            var lie = truth
            lie[index].histogram.recordNothing()
            #expect(throws: Complaint.self) { try table.auditor.observe(histograms: lie) }
            lie = truth
            lie.remove(at: index)
            #expect(throws: Complaint.self) { try table.auditor.observe(histograms: lie) }
        }
        try table.auditor.observe(histograms: truth)
    }
}

extension TableFixture {
    /// The histograms of a name, or of all leases.
    fileprivate func histogram(of name: LockName?) -> (waits: Histogram, holds: Histogram) {
        var copy = table
        let own = copy.allHistograms().filter { $0.name == name }.map(\.histogram)
        return own.count == 2 ? (own[0], own[1]) : (Histogram(), Histogram())
    }

    /// Which names have their own.
    fileprivate var histogramNames: [LockName] {
        var copy = table
        return copy.allHistograms().filter { $0.subject == .hold }.compactMap(\.name)
    }
}
