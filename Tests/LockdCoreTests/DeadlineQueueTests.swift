import LockdModel
import Testing

@testable import LockdCore

@Suite struct DeadlineQueueTests {
    @Test func earliestComesFirstAndLeasesBeforeWaits() {
        let deadlines = [
            deadline(1, ofLease: 2), deadline(1, ofLease: 3), deadline(1, ofWait: 1),
            deadline(1, ofWait: 2), deadline(2, ofLease: 1), deadline(2, ofWait: 3),
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
        var plain: [Int: Deadline] = [:]
        for _ in 0..<1000 {
            let claim = Int.random(in: 0..<40, using: &random)
            if plain[claim] != nil, Int.random(in: 0..<3, using: &random) == 0 {
                queue.remove(claim)
                plain[claim] = nil
            } else {
                let deadline = Deadline(
                    instant: MonotonicInstant(nanoseconds: Int64.random(in: 0..<30, using: &random)),
                    isOfWait: Bool.random(using: &random),
                    number: UInt64(claim),
                    claim: claim
                )
                queue.set(deadline)
                plain[claim] = deadline
            }
            #expect(queue.count == plain.count)
            #expect(queue.deadline(of: claim) == plain[claim])
            #expect(queue.earliest == plain.values.min())
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

    private func deadline(_ nanoseconds: Int64, ofLease token: UInt64) -> Deadline {
        Deadline(instant: MonotonicInstant(nanoseconds: nanoseconds), isOfWait: false, number: token, claim: 0)
    }

    private func deadline(_ nanoseconds: Int64, ofWait arrival: UInt64) -> Deadline {
        Deadline(instant: MonotonicInstant(nanoseconds: nanoseconds), isOfWait: true, number: arrival, claim: 0)
    }
}
