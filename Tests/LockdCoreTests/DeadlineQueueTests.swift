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

    /// Compared with the plainest queue there is, after every step.
    @Test(arguments: 0..<20) func earliestIsAlwaysTheLeastOfAll(seed: UInt64) {
        var random = SplitMix64(state: seed)
        var queue = DeadlineQueue()
        var plain: [Deadline.Subject: MonotonicInstant] = [:]
        for _ in 0..<1000 {
            let number = UInt64.random(in: 1...40, using: &random)
            let subject =
                Bool.random(using: &random)
                ? Deadline.Subject.lease(FencingToken(number)) : .wait(Arrival(number: number))
            if plain[subject] != nil, Int.random(in: 0..<3, using: &random) == 0 {
                queue.remove(subject)
                plain[subject] = nil
            } else {
                let instant = MonotonicInstant(nanoseconds: Int64.random(in: 0..<30, using: &random))
                queue.set(subject, to: instant)
                plain[subject] = instant
            }
            #expect(queue.count == plain.count)
            #expect(queue.deadline(of: subject) == plain[subject])
            #expect(queue.earliest == plain.map { Deadline(instant: $1, subject: $0) }.min())
        }
    }

    @Test func renewalsToAndFroAtOneInstantLeaveOneDeadline() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        for turn in 0..<10 {
            table.renew("db", by: alice, ttl: .seconds(turn % 2 == 0 ? 5 : 10))
            #expect(table.deadlines.count == 1)
        }
        #expect(table.nextDeadline() == .seconds(10))
    }

    @Test func whatEndedHasNoDeadline() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.acquire("db", by: bob.tagged("1"), wait: .after(.seconds(10)))
        #expect(table.deadlines.count == 2)
        table.cancel("1", by: bob)
        #expect(table.deadlines.count == 1)
        table.release("db", by: alice)
        #expect(table.deadlines.count == 0)
        #expect(table.nextDeadline() == nil)
    }

    private func deadline(_ nanoseconds: Int64, _ subject: Deadline.Subject) -> Deadline {
        Deadline(instant: MonotonicInstant(nanoseconds: nanoseconds), subject: subject)
    }
}
