import LockdCore
import LockdModel
import Testing

@Suite struct TimeToLiveTests {
    @Test func leaseExpiresAtItsDeadlineAndNotBefore() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))

        table.moveClock(.seconds(10))
        table.moveClock(nanoseconds: -1)
        #expect(table.passTime() == [])
        table.moveClock(nanoseconds: 1)
        #expect(table.passTime() == [.expired("db", of: alice, token: 1)])
        #expect(table.totals.expired == 1)
        #expect(table.lockCount == 0)
    }

    @Test func leaseWithoutTtlNeverExpires() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.advance(.maximum) == [])
        #expect(table.leaseCount == 1)
    }

    @Test func lossIsToldBeforeTheNextGrant() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.acquire("db", by: bob)
        #expect(
            table.advance(.seconds(10)) == [.expired("db", of: alice, token: 1), .granted("db", to: bob, token: 2)]
        )
    }

    @Test func ttlCountsFromTheGrantAndNotFromTheRequest() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, ttl: .seconds(10))
        table.advance(.seconds(9))
        table.release("db", by: alice)
        #expect(table.advance(Milliseconds(9999)) == [])
        #expect(table.advance(Milliseconds(1)) == [.expired("db", of: bob, token: 2)])
    }

    @Test func requestSeesALeaseThatIsDueEnded() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.moveClock(.seconds(10))
        #expect(
            table.acquire("db", by: bob, wait: .none)
                == [.expired("db", of: alice, token: 1), .granted("db", to: bob, token: 2)]
        )
    }

    @Test func lookingAtANameEndsWhatIsDue() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.moveClock(.seconds(10))
        #expect(table.inspect("db") == [.expired("db", of: alice, token: 1)])
        #expect(table.inspect("db") == [])
    }

    @Test func expiredLeaseCannotBeReleased() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.moveClock(.seconds(10))
        #expect(
            table.release("db", by: alice)
                == [.expired("db", of: alice, token: 1), .notHeld("db", to: alice)]
        )
        #expect(table.totals.released == 0)
    }

    @Test func renewalMovesTheDeadline() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.moveClock(.seconds(9))
        #expect(table.renew("db", by: alice) == [.renewed("db", to: alice, token: 1, ttl: .seconds(10))])
        #expect(table.advance(Milliseconds(9999)) == [])
        #expect(table.advance(Milliseconds(1)) == [.expired("db", of: alice, token: 1)])
    }

    @Test func renewalJustBeforeTheDeadlineIsInTime() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.moveClock(.seconds(10))
        table.moveClock(nanoseconds: -1)
        #expect(table.renew("db", by: alice) == [.renewed("db", to: alice, token: 1, ttl: .seconds(10))])
    }

    @Test(arguments: [Milliseconds.seconds(10), .seconds(11)])
    func renewalAtOrAfterTheDeadlineIsTooLate(_ late: Milliseconds) {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.moveClock(late)
        #expect(
            table.renew("db", by: alice) == [.expired("db", of: alice, token: 1), .notHeld("db", to: alice)]
        )
    }

    @Test func renewalCanChangeTheTtlForGood() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        #expect(
            table.renew("db", by: alice, ttl: .seconds(60)) == [.renewed("db", to: alice, token: 1, ttl: .seconds(60))]
        )
        table.advance(.seconds(59))
        #expect(table.renew("db", by: alice) == [.renewed("db", to: alice, token: 1, ttl: .seconds(60))])
        #expect(table.nextDeadline() == .seconds(60))
    }

    @Test func renewalCanShortenTheLease() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.renew("db", by: alice, ttl: .seconds(1))
        #expect(table.advance(.seconds(1)) == [.expired("db", of: alice, token: 1)])
    }

    @Test func renewalGivesATtlToALeaseThatHasNone() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.moveClock(.seconds(5))
        #expect(
            table.renew("db", by: alice, ttl: .seconds(10)) == [.renewed("db", to: alice, token: 1, ttl: .seconds(10))]
        )
        #expect(table.advance(.seconds(10)) == [.expired("db", of: alice, token: 1)])
    }

    @Test func renewalWithoutTtlLeavesALeaseWithoutTtl() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.renew("db", by: alice) == [.renewed("db", to: alice, token: 1, ttl: nil)])
        #expect(table.nextDeadline() == nil)
    }

    @Test func renewalGoesByTokenIfItNamesOne() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        #expect(table.renew("db", by: alice, token: 2) == [.notHeld("db", to: alice)])
        #expect(
            table.renew("db", by: alice, token: 1) == [.renewed("db", to: alice, token: 1, ttl: .seconds(10))]
        )
    }

    @Test func anyOwnerOfTheSessionCanRenew() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"), ttl: .seconds(10), owner: "writer")
        #expect(
            table.renew("db", by: alice.tagged("2"))
                == [.renewed("db", to: alice.tagged("2"), token: 1, ttl: .seconds(10))]
        )
    }

    @Test func anotherSessionCannotRenew() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        #expect(table.renew("db", by: bob, token: 1) == [.notHeld("db", to: bob)])
        #expect(table.nextDeadline() == .seconds(10))
    }

    @Test func freeLockCannotBeRenewed() {
        let table = TableFixture()
        #expect(table.renew("db", by: alice, ttl: .seconds(10)) == [.notHeld("db", to: alice)])
        #expect(table.nextDeadline() == nil)
    }

    @Test func waiterCannotRenew() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(table.renew("db", by: bob, ttl: .seconds(10)) == [.notHeld("db", to: bob)])
    }
}
