import LockdModel
import Testing

@testable import LockdCore

/// Who is told how the wait goes, and when.
@Suite struct ProgressTests {
    private let table = TableFixture()

    private func wait(_ names: LockNames, by id: RequestID, every interval: Milliseconds) -> [Effect] {
        table.apply(.acquireRequested(AcquireRequest(id, names, progress: interval)))
    }

    private func tell() -> [Effect] { table.apply(.progressDue) }

    private func queued(
        _ names: LockNames,
        to id: RequestID,
        position: Int,
        on obstacle: LockName? = nil,
        holder: RequestID,
        held: Milliseconds = .seconds(0),
        waiters: Int
    ) -> Effect {
        let holding = Holding(session: holder.session, held: held)
        let queueing = Queueing(position: position, obstacle: obstacle, holder: holding, waiterCount: waiters)
        return .sendQueued(id, names, queueing)
    }

    @Test func waitIsToldAtOnce() {
        table.acquire("a", by: bob)
        #expect(
            wait("a", by: alice, every: .seconds(1)) == [queued("a", to: alice, position: 1, holder: bob, waiters: 1)]
        )
        #expect(table.nextProgress == nil)
    }

    @Test func whoeverIsGrantedAtOnceIsToldNothing() {
        #expect(wait("a", by: alice, every: .seconds(1)) == [.granted("a", to: alice, token: 1)])
    }

    @Test func nothingIsDueWhileNothingChanges() {
        table.acquire("a", by: bob)
        _ = wait("a", by: alice, every: .seconds(1))
        table.acquire("a", by: carol)
        table.acquire("b", by: carol.tagged("1"))
        table.moveClock(.seconds(100))
        #expect(table.nextProgress == nil)
        #expect(tell().isEmpty)
    }

    @Test func changeIsToldNoSoonerThanAskedFor() {
        table.acquire("a", by: bob)
        table.acquire("a", by: carol)
        _ = wait("a", by: alice, every: .seconds(10))
        table.moveClock(.seconds(1))
        table.release("a", by: bob)
        #expect(tell().isEmpty)
        #expect(table.nextProgress == MonotonicInstant(nanoseconds: 11_000_000_000))
        table.moveClock(.seconds(9))
        #expect(tell() == [queued("a", to: alice, position: 1, holder: carol, held: .seconds(9), waiters: 1)])
        #expect(table.nextProgress == nil)
    }

    @Test func changeIsToldAtOnceIfTheLastReportIsLongAgo() {
        table.acquire("a", by: bob)
        table.acquire("a", by: carol)
        _ = wait("a", by: alice, every: .seconds(1))
        table.moveClock(.seconds(30))
        table.release("a", by: bob)
        #expect(table.nextProgress == table.now)
        #expect(tell().count == 1)
    }

    @Test func manyChangesAreToldOnce() {
        table.acquire("a", by: bob)
        for number in 0..<5 { table.acquire("a", by: carol.tagged(Tag(UInt64(number)))) }
        _ = wait("a", by: alice, every: .seconds(1))
        table.release("a", by: bob)
        for token: FencingToken in [2, 3, 4] { table.release("a", by: carol, token: token) }
        table.moveClock(.seconds(1))
        let report = queued("a", to: alice, position: 2, holder: carol, held: .seconds(1), waiters: 2)
        #expect(tell() == [report])
    }

    @Test func whatChangesBehindIsNotTold() {
        table.acquire("a", by: bob)
        _ = wait("a", by: alice, every: .seconds(1))
        table.acquire("a", by: carol.tagged("1"))
        table.cancel("1", by: carol)
        table.moveClock(.seconds(5))
        #expect(tell().isEmpty)
        #expect(table.nextProgress == nil)
    }

    @Test func whoHasGoneIsNotTold() {
        table.acquire("a", by: bob)
        table.acquire("a", by: carol)
        _ = wait("a", by: alice.tagged("1"), every: .seconds(1))
        _ = wait("a", by: alice.tagged("2"), every: .seconds(1))
        table.moveClock(.seconds(1))
        table.release("a", by: bob)
        table.cancel("1", by: alice)
        #expect(tell().count == 1)
        table.release("a", by: carol)
        #expect(tell().isEmpty)
        #expect(table.table.progress.isEmpty)
    }

    @Test func severalNamesAreToldTheFirstThatIsInTheWay() {
        table.acquire("b", by: bob)
        table.acquire("c", by: carol)
        let first = wait("a b c", by: alice, every: .seconds(1))
        #expect(first == [queued("a b c", to: alice, position: 1, on: "b", holder: bob, waiters: 1)])
        table.moveClock(.seconds(2))
        table.release("b", by: bob)
        let next = queued("a b c", to: alice, position: 1, on: "c", holder: carol, held: .seconds(2), waiters: 1)
        #expect(tell() == [next])
    }

    @Test func oneTurnLooksAtSoManyAndNoMore() {
        let table = TableFixture { $0.reportsPerTurn = 3 }
        table.acquire("a", by: bob)
        table.acquire("a", by: carol)
        for number in 0..<10 {
            let id = alice.tagged(Tag(UInt64(number)))
            table.apply(.acquireRequested(AcquireRequest(id, "a", progress: .seconds(1))))
        }
        table.moveClock(.seconds(1))
        table.release("a", by: bob)
        var turns: [Int] = []
        while let instant = table.nextProgress, instant <= table.now { turns.append(table.apply(.progressDue).count) }
        #expect(turns.reduce(0, +) == 10)
        #expect(turns.allSatisfy { $0 <= 3 })
    }

    /// Carol waits, and is told in the very next event that tells anything.
    private func expectCarolIsToldAtOnce(in table: TableFixture) {
        table.acquire("z", by: alice, limit: .shared)
        table.acquire("z", by: bob, limit: .shared)
        table.apply(.acquireRequested(AcquireRequest(carol, "z", progress: Milliseconds(100))))
        table.release("z", by: alice)
        table.moveClock(.seconds(1))
        #expect(table.apply(.progressDue).count == 1)
    }

    @Test func whoeverHasGoneHoldsUpNoReports() {
        let table = TableFixture { $0.reportsPerTurn = 100 }
        table.acquire("a", by: bob)
        for _ in 0..<1000 {
            table.apply(.acquireRequested(AcquireRequest(alice.tagged("1"), "a", progress: .seconds(1))))
            table.apply(.cancelRequested(alice, tag: "1"))
        }
        expectCarolIsToldAtOnce(in: table)
    }

    @Test func locksThatHaveRestedHoldUpNoReports() {
        let table = TableFixture { $0.reportsPerTurn = 100 }
        for _ in 0..<1000 {
            table.acquire("a", by: bob)
            table.apply(.acquireRequested(AcquireRequest(alice, "a", progress: .seconds(1))))
            table.release("a", by: bob)
            table.release("a", by: alice)
        }
        expectCarolIsToldAtOnce(in: table)
    }
}
