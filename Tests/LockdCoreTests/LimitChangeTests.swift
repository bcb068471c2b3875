import LockdModel
import Testing

@testable import LockdCore

// Alice and Bob are of one user, Carol is of another.
private let user = UserID(1000)
private let root = RequestID(SessionID(10))

/// Limits that change while there is something in the table.
@Suite struct LimitChangeTests {
    @Test func aUserHasWhatIsLeftOfTheNewLimits() {
        let table = TableFixture {
            $0.leasesPerUser = 10
            $0.waitersPerUser = 10
            $0.bytesPerUser = 100_000
        }
        table.acquire("a b", by: alice)
        table.acquire("c", by: carol)
        table.acquire("c", by: bob)
        let before = table.bytesLeft(for: user)
        table.changeLimits {
            $0.leasesPerUser = 3
            $0.waitersPerUser = 2
            $0.bytesPerUser = 90_000
        }
        #expect(table.bytesLeft(for: user) == before - 10_000)
        #expect(table.acquire("d e", by: alice) == [.refused(alice, .tooManyLeasesOfUser(limit: 3))])
        #expect(table.acquire("d", by: alice) == [.granted("d", to: alice, token: 3)])
        #expect(table.acquire("c", by: alice.tagged("1")) == [])
        #expect(
            table.acquire("c", by: alice.tagged("2")) == [.refused(alice.tagged("2"), .tooManyWaitersOfUser(limit: 2))]
        )
        // Those of whom there is nothing yet begin with the new limits too.
        table.open(dave, user: UserID(1002))
        #expect(table.bytesLeft(for: UserID(1002)) == 90_000)
    }

    @Test func limitsBelowWhatThereIsEndNothing() {
        let table = TableFixture()
        for name in ["a", "b", "c"] as [LockNames] { table.acquire(name, by: alice) }
        table.acquire("a", by: carol)
        table.acquire("a", by: bob)
        table.acquire("b", by: bob.tagged("1"))
        table.changeLimits {
            $0.leases = 1
            $0.leasesPerUser = 1
            $0.leasesPerSession = 1
            $0.waiters = 1
            $0.waitersPerUser = 1
            $0.waitersPerSession = 1
            $0.bytesPerUser = 1
        }
        #expect(table.leaseCount == 3)
        #expect(table.waiterCount == 3)
        #expect(table.acquire("d", by: carol) == [.refused(carol, .tooManyLeasesOfSession(limit: 1))])
        // Who waits is granted in its turn, in place of somebody else.
        #expect(table.release("a", by: alice).last == .granted("a", to: carol, token: 4))
        #expect(table.release("a", by: carol).last == .granted("a", to: bob, token: 5))
        #expect(table.release("b", by: alice).last == .granted("b", to: bob.tagged("1"), token: 6))
        #expect(table.waiterCount == 0)
        #expect(table.acquire("d", by: carol) == [.refused(carol, .tooManyBytesOfUser(limit: 1))])
    }

    @Test func moreIsPossibleAgainWhenThereIsLessThanMayBe() {
        let table = TableFixture()
        for name in ["a", "b"] as [LockNames] { table.acquire(name, by: alice) }
        table.changeLimits { $0.leasesPerUser = 1 }
        table.release("a", by: alice)
        #expect(table.acquire("c", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 1))])
        table.release("b", by: alice)
        #expect(table.acquire("c", by: bob) == [.granted("c", to: bob, token: 3)])
    }

    @Test func limitsCanGrow() {
        let table = TableFixture {
            $0.leases = 1
            $0.leasesPerUser = 1
        }
        table.acquire("a", by: alice)
        #expect(table.acquire("b", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 1))])
        table.changeLimits { $0.leasesPerUser = 2 }
        #expect(table.acquire("b", by: bob) == [.refused(bob, .tooManyLeases(limit: 1))])
        table.changeLimits { $0.leases = 2 }
        #expect(table.acquire("b", by: bob) == [.granted("b", to: bob, token: 2)])
    }

    @Test func backAndForthLeavesTheAccountsAsTheyWere() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("a", by: bob)
        table.acquire("b", by: carol)
        let before = [user, UserID(1001)].map { table.bytesLeft(for: $0) }
        table.changeLimits { $0.bytesPerUser = 1 }
        table.changeLimits { $0.bytesPerUser = Limits().bytesPerUser }
        #expect([user, UserID(1001)].map { table.bytesLeft(for: $0) } == before)
        for id in [alice, bob, carol] { table.disconnect(id) }
        table.passTime()
        #expect(table.userCount == 0)
    }

    @Test func rootHasNoLimitsBeforeAndAfter() {
        let table = TableFixture()
        table.open(root, user: .root)
        table.acquire("a", by: root)
        table.changeLimits { $0.leasesPerUser = 1 }
        #expect(table.acquire("b", by: root) == [.granted("b", to: root, token: 2)])
    }
}
