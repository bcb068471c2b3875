import LockdCore
import LockdModel
import Testing

@Suite struct GrantingTests {
    @Test func freeLockIsGrantedAtOnce() {
        let table = TableFixture()
        #expect(table.acquire("db", by: alice) == [.granted("db", to: alice, token: 1)])
        #expect(table.totals.granted == 1)
    }

    @Test func grantSaysTheTtlThatWasAskedFor() {
        let table = TableFixture()
        #expect(
            table.acquire("db", by: alice, ttl: .seconds(10))
                == [.granted("db", to: alice, token: 1, ttl: .seconds(10))]
        )
    }

    @Test func heldLockMakesOthersWait() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.acquire("db", by: bob) == [])
        #expect(table.waiterCount == 1)
    }

    @Test func locksAreIndependentOfEachOther() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.acquire("mail", by: bob) == [.granted("mail", to: bob, token: 2)])
        #expect(table.release("db", by: alice) == [.released("db", to: alice, token: 1)])
        #expect(table.release("mail", by: bob) == [.released("mail", to: bob, token: 2)])
    }

    @Test func releasedLockIsGrantedToItsWaiter() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, ttl: .seconds(5))
        #expect(
            table.release("db", by: alice)
                == [.released("db", to: alice, token: 1), .granted("db", to: bob, token: 2, ttl: .seconds(5))]
        )
    }

    @Test func idleLockIsForgotten() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.lockCount == 1)
        #expect(table.leaseCount == 1)
        table.release("db", by: alice)
        #expect(table.lockCount == 0)
        #expect(table.leaseCount == 0)
    }

    @Test func copiesOfATableGoTheirOwnWays() {
        let fixture = TableFixture()
        fixture.acquire("db", by: alice)
        fixture.acquire("db", by: bob)
        var copy = fixture.table
        fixture.release("db", by: alice)

        let effects = copy.apply(.releaseRequested(alice, "db", token: nil), at: fixture.now)
        #expect(effects == [.released("db", to: alice, token: 1), .granted("db", to: bob, token: 2)])
        copy.checkInvariants()
    }

    @Test func effectsAreAddedToThoseThatAreThere() {
        var table = LockTable(limits: Limits(), firstToken: 1, reservedThrough: 10)
        var effects: [Effect] = []
        let now = MonotonicInstant(nanoseconds: 0)
        table.apply(.sessionOpened(alice.session, user: .root), at: now, effects: &effects)
        table.apply(.acquireRequested(AcquireRequest(alice, "db")), at: now, effects: &effects)
        table.apply(.acquireRequested(AcquireRequest(alice, "mail")), at: now, effects: &effects)
        #expect(effects == [.granted("db", to: alice, token: 1), .granted("mail", to: alice, token: 2)])
    }

    @Test func timeCannotGoBackwards() async {
        await #expect(processExitsWith: .failure) {
            var table = LockTable(limits: Limits(), firstToken: 1, reservedThrough: 10)
            _ = table.apply(.timePassed, at: MonotonicInstant(nanoseconds: 2))
            _ = table.apply(.timePassed, at: MonotonicInstant(nanoseconds: 1))
        }
    }
}
