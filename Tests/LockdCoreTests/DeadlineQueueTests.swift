import LockdModel
import Testing

@testable import LockdCore

@Suite struct DeadlineQueueTests {
    @Test func earliestComesFirstAndLeasesBeforeWaits() {
        let deadlines = [
            deadline(1, .lease(2)), deadline(1, .lease(3)), deadline(1, .wait(Arrival(number: 1))),
            deadline(1, .wait(Arrival(number: 2))), deadline(2, .lease(1)), deadline(2, .wait(Arrival(number: 3))),
        ]
        #expect(deadlines.shuffled().sorted() == deadlines)
        for (earlier, later) in zip(deadlines, deadlines.dropFirst()) {
            #expect(earlier < later)
            #expect(!(later < earlier))
        }
    }

    /// Every renewal leaves a stale deadline behind; they must not pile up.
    @Test func staleDeadlinesOfRenewalsDoNotPileUp() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        for _ in 0..<1000 {
            table.moveClock(Milliseconds(1))
            table.renew("db", by: alice)
            #expect(table.table.deadlines.count <= 132)
        }
    }

    @Test func renewalsToAndFroAtOneInstantDoNotPileUp() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        for turn in 0..<1000 {
            table.renew("db", by: alice, ttl: .seconds(turn % 2 == 0 ? 5 : 10))
            #expect(table.table.deadlines.count <= 132)
        }
        #expect(table.nextDeadline() == .seconds(10))
    }

    @Test func staleDeadlinesOfWaitsDoNotPileUp() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        for _ in 0..<1000 {
            table.acquire("db", by: bob.tagged("1"), wait: .after(.seconds(10)))
            table.cancel("1", by: bob)
            #expect(table.table.deadlines.count <= 130)
        }
        #expect(table.nextDeadline() == nil)
    }

    @Test func staleDeadlinesOfLeasesDoNotPileUp() {
        let table = TableFixture()
        for _ in 0..<1000 {
            table.acquire("db", by: alice, ttl: .seconds(10))
            table.release("db", by: alice)
            #expect(table.table.deadlines.count <= 130)
        }
        #expect(table.nextDeadline() == nil)
    }

    @Test func deadlinesThatCountOutliveTheStaleOnes() {
        let table = TableFixture()
        table.acquire("kept", by: alice, ttl: .seconds(30))
        table.acquire("kept", by: carol, wait: .after(.seconds(20)))
        for _ in 0..<1000 {
            table.acquire("db", by: alice, ttl: .seconds(10))
            table.release("db", by: alice)
        }
        #expect(table.nextDeadline() == .seconds(20))
        table.advance(.seconds(20))
        #expect(table.nextDeadline() == .seconds(10))
    }

    private func deadline(_ nanoseconds: Int64, _ subject: Deadline.Subject) -> Deadline {
        Deadline(instant: MonotonicInstant(nanoseconds: nanoseconds), subject: subject)
    }
}
