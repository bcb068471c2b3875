import LockdCore
import LockdModel
import Testing

@Suite struct ReleaseTests {
    @Test func releaseEndsTheLease() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.release("db", by: alice) == [.released("db", to: alice, token: 1)])
        #expect(table.leaseCount == 0)
        #expect(table.totals.released == 1)
    }

    @Test func releaseIsAnsweredBeforeTheNextGrant() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(
            table.release("db", by: alice)
                == [.released("db", to: alice, token: 1), .granted("db", to: bob, token: 2)]
        )
    }

    @Test func releaseWithTheTokenOfTheLeaseEndsIt() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.release("db", by: alice, token: 1) == [.released("db", to: alice, token: 1)])
    }

    @Test func releaseWithAnotherTokenChangesNothing() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.release("db", by: alice, token: 2) == [.notHeld("db", to: alice)])
        #expect(table.leaseCount == 1)
        #expect(table.totals.released == 0)
    }

    @Test func releaseOfAnEarlierLeaseDoesNotEndTheLater() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.release("db", by: alice)
        table.acquire("db", by: alice)
        #expect(table.release("db", by: alice, token: 1) == [.notHeld("db", to: alice)])
        #expect(table.leaseCount == 1)
    }

    @Test(arguments: [nil, 1 as FencingToken])
    func anotherSessionCannotRelease(_ token: FencingToken?) {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.release("db", by: bob, token: token) == [.notHeld("db", to: bob)])
        #expect(table.leaseCount == 1)
    }

    @Test func anyOwnerOfTheSessionCanRelease() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"), owner: "writer")
        #expect(table.release("db", by: alice.tagged("2")) == [.released("db", to: alice.tagged("2"), token: 1)])
    }

    @Test func freeLockCannotBeReleased() {
        let table = TableFixture()
        #expect(table.release("db", by: alice) == [.notHeld("db", to: alice)])
        table.acquire("db", by: alice)
        table.release("db", by: alice)
        #expect(table.release("db", by: alice) == [.notHeld("db", to: alice)])
    }

    @Test func waiterHasNothingToRelease() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(table.release("db", by: bob) == [.notHeld("db", to: bob)])
        #expect(table.waiterCount == 1)
    }

    @Test func releaseReachesALeaseThatIsGrantedOnlyNow() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.acquire("db", by: bob)
        table.acquire("db", by: carol)
        table.moveClock(.seconds(3))
        #expect(
            table.release("db", by: bob) == [
                .expired("db", of: alice, token: 1),
                .granted("db", to: bob, token: 2),
                .released("db", to: bob, token: 2),
                .granted("db", to: carol, token: 3),
            ]
        )
    }
}
