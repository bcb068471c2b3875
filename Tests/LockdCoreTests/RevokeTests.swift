import LockdCore
import LockdModel
import Testing

@Suite struct RevokeTests {
    @Test func holderIsToldThenTheRevokerThenTheNext() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: carol)
        #expect(
            table.revoke("db", by: bob, reason: "stuck") == [
                .lost("db", of: alice, token: 1, revokedBy: bob, why: "stuck"),
                .revoked("db", to: bob, token: 1),
                .granted("db", to: carol, token: 2),
            ]
        )
        #expect(table.totals.revoked == 1)
    }

    @Test func reasonCanBeLeftOut() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(
            table.revoke("db", by: bob) == [
                .lost("db", of: alice, token: 1, revokedBy: bob), .revoked("db", to: bob, token: 1),
            ]
        )
        #expect(table.lockCount == 0)
    }

    @Test func ownLeaseCanBeRevoked() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(
            table.revoke("db", by: alice.tagged("1")) == [
                .lost("db", of: alice, token: 1, revokedBy: alice), .revoked("db", to: alice.tagged("1"), token: 1),
            ]
        )
    }

    @Test func rootCanRevokeFromEverybody() {
        let table = TableFixture()
        table.open(dave, user: .root)
        table.acquire("db", by: carol)
        #expect(
            table.revoke("db", by: dave) == [
                .lost("db", of: carol, token: 1, revokedBy: dave), .revoked("db", to: dave, token: 1),
            ]
        )
    }

    @Test func otherUsersAreDenied() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(
            table.revoke("db", by: carol) == [.denied("db", to: carol, token: 1, holder: UserID(1000))]
        )
        #expect(table.leaseCount == 1)
        #expect(table.totals.revoked == 0)
    }

    @Test func nobodyCanRevokeFromRootButRoot() {
        let table = TableFixture()
        table.open(dave, user: .root)
        table.acquire("db", by: dave)
        #expect(table.revoke("db", by: alice) == [.denied("db", to: alice, token: 1, holder: .root)])
    }

    @Test func overflowUserHasNoRightOverOthers() {
        let table = TableFixture()
        let erin = RequestID(SessionID(5))
        table.open(dave, user: .overflow)
        table.open(erin, user: .overflow)
        table.acquire("db", by: dave)
        #expect(table.revoke("db", by: erin) == [.denied("db", to: erin, token: 1, holder: .overflow)])
        #expect(
            table.revoke("db", by: dave) == [
                .lost("db", of: dave, token: 1, revokedBy: dave), .revoked("db", to: dave, token: 1),
            ]
        )
    }

    @Test func revokeGoesByTokenIfItNamesOne() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.revoke("db", by: bob, token: 2) == [.notHeld("db", to: bob)])
        #expect(table.leaseCount == 1)
        #expect(table.revoke("db", by: bob, token: 1).last == .revoked("db", to: bob, token: 1))
    }

    @Test func tokenThatDoesNotMatchComesBeforeRights() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.revoke("db", by: carol, token: 2) == [.notHeld("db", to: carol)])
    }

    @Test func freeLockCannotBeRevoked() {
        let table = TableFixture()
        #expect(table.revoke("db", by: bob) == [.notHeld("db", to: bob)])
    }

    @Test func leaseThatIsDueHasExpiredBefore() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.moveClock(.seconds(3))
        #expect(table.revoke("db", by: bob) == [.expired("db", of: alice, token: 1), .notHeld("db", to: bob)])
    }

    @Test func revokedLeaseDoesNotExpireToo() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(3))
        table.revoke("db", by: bob)
        #expect(table.advance(.seconds(3)) == [])
        #expect(table.release("db", by: alice) == [.notHeld("db", to: alice)])
    }

    @Test func revokerThatWaitsIsGrantedInItsTurn() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        #expect(
            table.revoke("db", by: bob.tagged("2")) == [
                .lost("db", of: alice, token: 1, revokedBy: bob),
                .revoked("db", to: bob.tagged("2"), token: 1),
                .granted("db", to: bob.tagged("1"), token: 2),
            ]
        )
    }
}
