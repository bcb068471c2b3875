import LockdCore
import LockdModel
import Testing

@Suite struct CancelTests {
    @Test func cancelledWaitIsAnsweredBeforeTheCancel() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.moveClock(Milliseconds(250))
        #expect(
            table.cancel("1", by: bob.tagged("2")) == [
                .cancelled("db", to: bob.tagged("1"), waited: Milliseconds(250)),
                .waitCancelled("1", to: bob.tagged("2")),
            ]
        )
        #expect(table.waiterCount == 0)
        #expect(table.totals.cancelled == 1)
    }

    @Test func cancelledWaitIsNeverGranted() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.acquire("db", by: carol)
        table.cancel("1", by: bob)
        #expect(
            table.release("db", by: alice)
                == [.released("db", to: alice, token: 1), .granted("db", to: carol, token: 2)]
        )
    }

    @Test func cancelledWaitDoesNotRunOut() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"), wait: .after(.seconds(3)))
        table.cancel("1", by: bob)
        #expect(table.advance(.seconds(3)) == [])
    }

    @Test func waitInTheMiddleLeavesTheOthersInOrder() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        for tag in ["1", "2", "3"] as [Tag] { table.acquire("db", by: bob.tagged(tag)) }
        table.cancel("2", by: bob)
        #expect(table.release("db", by: alice).last == .granted("db", to: bob.tagged("1"), token: 2))
        #expect(table.release("db", by: bob).last == .granted("db", to: bob.tagged("3"), token: 3))
    }

    @Test func nothingWaitsUnderATagThatWasNeverUsed() {
        let table = TableFixture()
        #expect(table.cancel("1", by: bob) == [.notWaiting("1", to: bob)])
    }

    @Test func grantedRequestWaitsNoMore() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"))
        #expect(table.cancel("1", by: alice) == [.notWaiting("1", to: alice)])
        #expect(table.leaseCount == 1)
    }

    @Test func requestGrantedFromTheQueueWaitsNoMore() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.release("db", by: alice)
        #expect(table.cancel("1", by: bob) == [.notWaiting("1", to: bob)])
    }

    @Test func tagsOfAnotherSessionAreNotMeant() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        #expect(table.cancel("1", by: carol) == [.notWaiting("1", to: carol)])
        #expect(table.waiterCount == 1)
    }

    @Test func tagIsFreeAfterTheCancel() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.cancel("1", by: bob)
        #expect(table.acquire("db", by: bob.tagged("1")) == [])
        #expect(table.release("db", by: alice).last == .granted("db", to: bob.tagged("1"), token: 2))
    }

    @Test func cancelComesTooLateAtTheEndOfTheWait() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"), wait: .after(.seconds(3)))
        table.moveClock(.seconds(3))
        #expect(
            table.cancel("1", by: bob) == [
                .timedOut("db", to: bob.tagged("1"), waited: .seconds(3), holder: alice, held: .seconds(3)),
                .notWaiting("1", to: bob),
            ]
        )
    }

    @Test func cancelComesTooLateWhenTheLeaseBeforeIsDue() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.acquire("db", by: bob.tagged("1"))
        table.moveClock(.seconds(3))
        #expect(
            table.cancel("1", by: bob) == [
                .expired("db", of: alice, token: 1),
                .granted("db", to: bob.tagged("1"), token: 2),
                .notWaiting("1", to: bob),
            ]
        )
    }
}
