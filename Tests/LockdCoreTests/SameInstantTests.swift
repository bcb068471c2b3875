import LockdCore
import LockdModel
import Testing

/// What depends on the order of instants must not depend on when the table hears of them.
@Suite struct SameInstantTests {
    @Test func waitThatRunsOutWithTheTtlBeforeItIsGranted() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.acquire("db", by: bob, wait: .after(.seconds(3)))
        #expect(
            table.advance(.seconds(3)) == [.expired("db", of: alice, token: 1), .granted("db", to: bob, token: 2)]
        )
    }

    @Test func waitThatRunsOutBeforeTheTtlTimesOut() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.acquire("db", by: bob, wait: .after(Milliseconds(2999)))
        #expect(
            table.advance(.seconds(3)) == [
                .timedOut("db", to: bob, waited: .seconds(3), holder: alice, held: .seconds(3)),
                .expired("db", of: alice, token: 1),
            ]
        )
    }

    @Test func onlyOneOfTheWaitsThatRunOutWithTheTtlIsGranted() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.acquire("db", by: bob, wait: .after(.seconds(3)))
        table.acquire("db", by: carol, wait: .after(.seconds(3)))
        #expect(
            table.advance(.seconds(3)) == [
                .expired("db", of: alice, token: 1),
                .granted("db", to: bob, token: 2),
                .timedOut("db", to: carol, waited: .seconds(3), holder: bob, held: .seconds(0)),
            ]
        )
    }

    @Test func lateTableGrantsWhoWaitedLongEnough() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.acquire("db", by: bob, wait: .after(.seconds(2)))
        table.acquire("db", by: carol, wait: .after(.seconds(4)))
        #expect(
            table.advance(.seconds(60)) == [
                .timedOut("db", to: bob, waited: .seconds(60), holder: alice, held: .seconds(60), waiters: 1),
                .expired("db", of: alice, token: 1),
                .granted("db", to: carol, token: 2),
            ]
        )
    }

    @Test func grantedLateALeaseHasItsWholeTtl() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.acquire("db", by: bob, ttl: .seconds(1))
        #expect(
            table.advance(.seconds(60))
                == [.expired("db", of: alice, token: 1), .granted("db", to: bob, token: 2, ttl: .seconds(1))]
        )
        #expect(table.advance(Milliseconds(999)) == [])
        #expect(table.advance(Milliseconds(1)) == [.expired("db", of: bob, token: 2)])
    }

    @Test func lateTableEndsEverythingInOrderOverAllNames() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(4))
        table.acquire("mail", by: alice)
        table.acquire("logs", by: carol, ttl: .seconds(2))
        table.acquire("mail", by: bob.tagged("1"), wait: .after(.seconds(3)))
        table.acquire("db", by: bob.tagged("2"), wait: .after(.seconds(1)))
        #expect(
            table.advance(.seconds(60)) == [
                .timedOut("db", to: bob.tagged("2"), waited: .seconds(60), holder: alice, held: .seconds(60)),
                .expired("logs", of: carol, token: 3),
                .timedOut("mail", to: bob.tagged("1"), waited: .seconds(60), holder: alice, held: .seconds(60)),
                .expired("db", of: alice, token: 1),
            ]
        )
    }

    @Test func requestSeesEverythingDueOnItsNameEndedInOrder() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(2))
        table.acquire("db", by: bob.tagged("1"))
        table.acquire("db", by: bob.tagged("2"), wait: .after(.seconds(1)))
        table.acquire("db", by: bob.tagged("3"), wait: .after(.seconds(3)))
        table.moveClock(.seconds(60))
        #expect(
            table.acquire("db", by: carol, wait: .none) == [
                .timedOut(
                    "db",
                    to: bob.tagged("2"),
                    waited: .seconds(60),
                    holder: alice,
                    held: .seconds(60),
                    waiters: 2
                ),
                .expired("db", of: alice, token: 1),
                .granted("db", to: bob.tagged("1"), token: 2),
                .timedOut("db", to: bob.tagged("3"), waited: .seconds(60), holder: bob, held: .seconds(0)),
                .busy("db", to: carol, holder: bob),
            ]
        )
    }

    @Test func waitThatIsDueIsNotCountedByBusy() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(1)))
        table.moveClock(.seconds(1))
        #expect(
            table.acquire("db", by: carol, wait: .none) == [
                .timedOut("db", to: bob, waited: .seconds(1), holder: alice, held: .seconds(1)),
                .busy("db", to: carol, holder: alice, held: .seconds(1)),
            ]
        )
    }

    @Test func waitThatIsDueIsNotShown() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(1)))
        table.moveClock(.seconds(1))
        #expect(
            table.inspect("db") == [.timedOut("db", to: bob, waited: .seconds(1), holder: alice, held: .seconds(1))]
        )
        #expect(table.show("db").count == 1)
    }

    @Test func releaseAtTheEndOfAWaitComesTooLateForIt() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(1)))
        table.acquire("db", by: carol)
        table.moveClock(.seconds(1))
        #expect(
            table.release("db", by: alice) == [
                .timedOut("db", to: bob, waited: .seconds(1), holder: alice, held: .seconds(1), waiters: 1),
                .released("db", to: alice, token: 1),
                .granted("db", to: carol, token: 2),
            ]
        )
    }

    @Test func revokeAtTheEndOfAWaitComesTooLateForIt() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: carol, wait: .after(.seconds(1)))
        table.moveClock(.seconds(1))
        #expect(
            table.revoke("db", by: bob) == [
                .timedOut("db", to: carol, waited: .seconds(1), holder: alice, held: .seconds(1)),
                .lost("db", of: alice, token: 1, revokedBy: bob),
                .revoked("db", to: bob, token: 1),
            ]
        )
    }

    @Test func endOfASessionAtTheEndOfAWaitIsInTimeForIt() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(1)))
        table.moveClock(.seconds(1))
        table.disconnect(alice)
        table.moveClock(.seconds(1))
        #expect(table.passTime() == [.granted("db", to: bob, token: 2)])
    }

    @Test func endOfASessionAfterTheEndOfAWaitIsTooLateForIt() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, wait: .after(.seconds(1)))
        table.moveClock(Milliseconds(1001))
        table.disconnect(alice)
        #expect(table.passTime() == [.sendTimedOut(bob, "db", waited: Milliseconds(1001), holder: nil, waiterCount: 0)])
    }

    @Test func sessionThatEndsHoldsUntilItsTtlAtTheLongest() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.acquire("db", by: bob, wait: .after(.seconds(2)))
        table.moveClock(.seconds(3))
        table.disconnect(alice)
        #expect(table.passTime() == [.granted("db", to: bob, token: 2)])
    }

    @Test func timeIsWorkedOffInSlicesInOrder() {
        let table = TableFixture {
            $0.endingsPerTurn = 2
            $0.waitersPerSession = 2
        }
        table.acquire("a", by: alice)
        table.acquire("b", by: alice)
        table.acquire("c", by: carol, ttl: .seconds(2))
        table.acquire("a", by: bob.tagged("1"), wait: .after(.seconds(3)))
        table.acquire("b", by: bob.tagged("2"), wait: .after(.seconds(1)))
        #expect(
            table.advance(.seconds(10)) == [
                .timedOut("b", to: bob.tagged("2"), waited: .seconds(10), holder: alice, held: .seconds(10)),
                .expired("c", of: carol, token: 3),
            ]
        )
        #expect(
            table.passTime()
                == [.timedOut("a", to: bob.tagged("1"), waited: .seconds(10), holder: alice, held: .seconds(10))]
        )
    }

    @Test func waitsOnOneNameAreWorkedOffInSlicesToo() {
        let table = TableFixture {
            $0.endingsPerTurn = 2
            $0.waitersPerSession = 2
        }
        table.acquire("db", by: alice, ttl: .seconds(5))
        for id in [bob.tagged("1"), bob.tagged("2"), carol.tagged("1"), carol.tagged("2")] {
            table.acquire("db", by: id, wait: .after(.seconds(1)))
        }
        table.moveClock(.seconds(10))
        #expect(table.passTime().count == 2)
        #expect(table.passTime().count == 2)
        #expect(table.passTime() == [.expired("db", of: alice, token: 1)])
        #expect(table.passTime() == [])
    }

    @Test func endedSessionsAreNotHeldUpByDeadlinesThatCameLater() {
        let table = TableFixture {
            $0.endingsPerTurn = 1
            $0.waitersPerSession = 1
        }
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        for name in ["a", "b", "c"] as [LockName] { table.acquire(LockNames(name), by: carol, ttl: .seconds(1)) }
        table.disconnect(alice)
        table.moveClock(.seconds(5))
        #expect(table.passTime() == [.granted("db", to: bob, token: 5)])
        #expect(table.passTime() == [.expired("a", of: carol, token: 2)])
    }
}
