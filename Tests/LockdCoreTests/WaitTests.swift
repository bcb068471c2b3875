import LockdCore
import LockdModel
import Testing

@Suite struct WaitTests {
    @Test func tryOfAFreeLockIsGranted() {
        let table = TableFixture()
        #expect(table.acquire("db", by: alice, wait: .none) == [.granted("db", to: alice, token: 1)])
    }

    @Test func tryOfAHeldLockIsBusyAndNamesTheHolder() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.moveClock(Milliseconds(1500))
        #expect(
            table.acquire("db", by: bob, wait: .none) == [.busy("db", to: bob, holder: alice, held: Milliseconds(1500))]
        )
        #expect(table.waiterCount == 0)
        #expect(table.totals.busy == 1)
    }

    @Test func busyCountsThoseWhoWait() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.acquire("db", by: bob.tagged("2"))
        #expect(
            table.acquire("db", by: carol, wait: .none) == [.busy("db", to: carol, holder: alice, waiters: 2)]
        )
    }

    @Test func waitRunsOutAtItsDeadlineAndNotBefore() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(3)))

        table.moveClock(.seconds(3))
        table.moveClock(nanoseconds: -1)
        #expect(table.passTime() == [])
        table.moveClock(nanoseconds: 1)
        #expect(
            table.passTime()
                == [.timedOut("db", to: bob, waited: .seconds(3), holder: alice, held: .seconds(3))]
        )
        #expect(table.totals.timeouts == 1)
    }

    @Test func waitThatRanOutLeavesNothingInTheQueue() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(3)))
        table.acquire("db", by: carol)
        table.advance(.seconds(3))
        #expect(table.waiterCount == 1)
        #expect(
            table.release("db", by: alice)
                == [.released("db", to: alice, token: 1), .granted("db", to: carol, token: 2)]
        )
    }

    @Test func waitIsGrantedBeforeItRunsOut() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(3)))
        table.advance(Milliseconds(2999))
        #expect(table.release("db", by: alice).last == .granted("db", to: bob, token: 2))
        #expect(table.advance(.seconds(10)) == [])
    }

    @Test func waitForEverNeverRunsOut() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .never)
        #expect(table.advance(.maximum) == [])
        #expect(table.release("db", by: alice).last == .granted("db", to: bob, token: 2))
    }

    @Test func waitsRunOutInOrderOfTheirDeadlines() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(3)))
        table.acquire("db", by: carol, wait: .after(.seconds(2)))
        #expect(
            table.advance(.seconds(5)) == [
                .timedOut("db", to: carol, waited: .seconds(5), holder: alice, held: .seconds(5), waiters: 1),
                .timedOut("db", to: bob, waited: .seconds(5), holder: alice, held: .seconds(5)),
            ]
        )
    }

    @Test func waitsThatRunOutTogetherDoSoInOrderOfArrival() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("mail", by: alice)
        table.acquire("mail", by: carol, wait: .after(.seconds(2)))
        table.acquire("db", by: bob, wait: .after(.seconds(2)))
        #expect(
            table.advance(.seconds(2)) == [
                .timedOut("mail", to: carol, waited: .seconds(2), holder: alice, held: .seconds(2)),
                .timedOut("db", to: bob, waited: .seconds(2), holder: alice, held: .seconds(2)),
            ]
        )
    }

    @Test func waitOfNoLengthRunsOutAtOnce() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.acquire("db", by: bob, wait: .after(.seconds(0))) == [])
        #expect(
            table.passTime()
                == [.timedOut("db", to: bob, waited: .seconds(0), holder: alice, held: .seconds(0))]
        )
    }

    @Test func untaggedWaitsOfOneSessionEndEachOnItsOwn() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("mail", by: alice)
        table.acquire("db", by: bob)
        table.acquire("mail", by: bob)
        #expect(table.release("mail", by: alice).last == .granted("mail", to: bob, token: 3))
        #expect(table.release("db", by: alice).last == .granted("db", to: bob, token: 4))
    }
}
