import LockdCore
import LockdModel
import Testing

/// Requests of an owner that holds some of the names already.
@Suite struct SetOwnerTests {
    @Test func ownerThatHoldsAllOfTheNamesWithOneLeaseIsAnsweredHeld() {
        let table = TableFixture()
        table.acquire("a b c", by: alice, ttl: .seconds(9))
        for names in ["a b c", "c a b", "b c", "b", "c"] as [LockNames] {
            #expect(table.acquire(names, by: alice) == [.held("a b c", by: alice, token: 1, ttl: .seconds(9))])
        }
        #expect(table.totals.granted == 1)
    }

    @Test func ownerThatHoldsSomeOfTheNamesIsRefused() {
        let table = TableFixture()
        table.acquire("a b", by: alice)
        for names in ["a c", "c b", "a b c"] as [LockNames] {
            #expect(table.acquire(names, by: alice) == [.refused(alice, .partlyHeld)])
            #expect(table.acquire(names, by: alice, wait: .none) == [.refused(alice, .partlyHeld)])
        }
        #expect(table.lockCount == 2)
        #expect(table.acquire("a c", by: alice.tagged("1")) == [])
        #expect(table.acquire("a c", by: bob) == [])
    }

    @Test func ownerThatHoldsTheNamesWithSeveralLeasesIsRefused() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("b", by: alice)
        #expect(table.acquire("a b", by: alice) == [.refused(alice, .partlyHeld)])
        #expect(table.acquire("a b", by: alice, limit: .shared) == [.refused(alice, .partlyHeld)])
    }

    @Test func ownerIsOnlyAnsweredForItself() {
        let table = TableFixture()
        table.acquire("a b", by: alice.tagged("1"), owner: "writer")
        #expect(
            table.acquire("b a", by: alice.tagged("2"), owner: "writer")
                == [.held("a b", by: alice.tagged("2"), token: 1)]
        )
        #expect(table.acquire("b a", by: alice.tagged("3"), owner: "reader") == [])
    }

    @Test func leaseOnSeveralNamesIsNeverMadeStricter() {
        let table = TableFixture()
        table.acquire("a b", by: alice, limit: HolderLimit(3))
        #expect(table.acquire("a", by: alice, limit: HolderLimit(2)) == [.refused(alice, .stricterLease)])
        #expect(table.acquire("b a", by: alice) == [.refused(alice, .stricterLease)])
        #expect(table.acquire("b a", by: alice, limit: .shared) == [.held("a b", by: alice, token: 1)])
        // What it does not hold comes first.
        #expect(table.acquire("b c", by: alice) == [.refused(alice, .partlyHeld)])
    }

    @Test func ofSeveralLeasesTheStrictestThatHasAllNamesCounts() {
        let table = TableFixture()
        table.acquire("x", by: bob)
        for limit in [.shared, HolderLimit(5), HolderLimit(5)] {
            table.acquire("a b x", by: alice, limit: limit)
        }
        table.acquire("a", by: alice, limit: HolderLimit(4))
        table.release("x", by: bob)
        #expect(table.leaseCount == 4)
        #expect(table.acquire("b a", by: alice, limit: .shared) == [.held("a b x", by: alice, token: 3)])
        #expect(table.acquire("b a", by: alice, limit: HolderLimit(5)) == [.held("a b x", by: alice, token: 3)])
        #expect(table.acquire("a", by: alice, limit: .shared) == [.held("a", by: alice, token: 5)])
        #expect(table.acquire("b a", by: alice, limit: HolderLimit(4)) == [.refused(alice, .stricterLease)])
    }

    @Test func ownerThatWaitsForSomeOfTheNamesHasTwoPlaces() {
        let table = TableFixture()
        table.acquire("a", by: bob)
        table.acquire("a b", by: alice.tagged("1"), owner: "one")
        #expect(table.acquire("b", by: alice.tagged("2"), owner: "one") == [])
        table.release("a", by: bob)
        #expect(table.release("a", by: alice).last == .granted("b", to: alice.tagged("2"), token: 3))
    }
}
