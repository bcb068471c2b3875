import LockdCore
import LockdModel
import Testing

/// Shared and limited leases on several names.
@Suite struct SetHolderLimitTests {
    @Test func sharedLeasesThatOverlapAreHeldTogether() {
        let table = TableFixture()
        #expect(table.acquire("a b", by: alice, limit: .shared) == [.granted("a b", to: alice, token: 1)])
        #expect(table.acquire("b c", by: bob, limit: .shared) == [.granted("b c", to: bob, token: 2)])
        #expect(table.acquire("c a", by: carol) == [])
        table.release("b", by: alice)
        #expect(table.release("b", by: bob).last == .granted("c a", to: carol, token: 3))
    }

    @Test func eachNameMustAdmitTheLease() {
        let table = TableFixture()
        table.acquire("a", by: alice.tagged("1"), limit: HolderLimit(2))
        table.acquire("b", by: alice.tagged("2"), limit: HolderLimit(2))
        table.acquire("b", by: alice.tagged("3"), limit: HolderLimit(2))
        #expect(
            table.acquire("a b", by: bob, wait: .none, limit: HolderLimit(3))
                == [.busy("a b", to: bob, holder: alice, holders: 2)]
        )
        #expect(table.acquire("a b", by: bob, limit: HolderLimit(3)) == [])
        #expect(table.release("b", by: alice).last == .granted("a b", to: bob, token: 4))
    }

    @Test func sharedRequestBehindAWideExclusiveOneWaitsForIt() {
        let table = TableFixture()
        table.acquire("a", by: alice, limit: .shared)
        table.acquire("a b", by: bob.tagged("w"))
        #expect(table.acquire("b", by: carol, limit: .shared) == [])
        #expect(
            table.cancel("w", by: bob) == [
                .cancelled("a b", to: bob.tagged("w")), .granted("b", to: carol, token: 2),
                .waitCancelled("w", to: bob),
            ]
        )
    }

    @Test func manyAreGrantedInSeveralTurnsAndInOrder() {
        let table = TableFixture { $0.grantsPerTurn = 2 }
        table.acquire("a b", by: alice)
        let waiting = (1...5).map { bob.tagged(Tag($0)) }
        for id in waiting { table.acquire("b c", by: id, wait: .after(.seconds(10)), limit: .shared) }
        #expect(
            table.release("a", by: alice) == [
                .released("a b", to: alice, token: 1), .granted("b c", to: waiting[0], token: 2),
                .granted("b c", to: waiting[1], token: 3),
            ]
        )
        #expect(table.nextDeadline() == .seconds(0))
        table.moveClock(.seconds(20))
        #expect(
            table.passTime() == [.granted("b c", to: waiting[2], token: 4), .granted("b c", to: waiting[3], token: 5)]
        )
        // Whoever asks for one of the names sees the last one granted first.
        let effects = table.acquire("c", by: carol, wait: .none)
        #expect(effects.first == .granted("b c", to: waiting[4], token: 6))
        #expect(table.nextDeadline() == nil)
    }

    /// The grant was put off, on both of its names; then the request is cancelled.
    @Test func whoIsPutOffOnSeveralNamesCanStillCancel() {
        let table = TableFixture { $0.grantsPerTurn = 1 }
        table.acquire("a", by: alice)
        table.acquire("a", by: bob.tagged("1"), limit: .shared)
        table.acquire("a", by: bob.tagged("2"), limit: .shared)
        table.acquire("a b", by: bob.tagged("3"), limit: .shared)
        table.acquire("b", by: carol)
        table.release("a", by: alice)
        #expect(
            table.cancel("3", by: bob) == [
                .granted("a", to: bob.tagged("2"), token: 3), .cancelled("a b", to: bob.tagged("3")),
                .waitCancelled("3", to: bob),
            ]
        )
        #expect(table.passTime() == [.granted("b", to: carol, token: 4)])
        #expect(table.nextDeadline() == nil)
    }
}

/// What leases on several names, and requests for them, count for.
@Suite struct SetLimitTests {
    @Test func leaseCountsForEachOfItsNames() {
        let table = TableFixture { $0.leases = 3 }
        #expect(table.acquire("a b", by: alice) == [.granted("a b", to: alice, token: 1)])
        #expect(table.acquire("c d", by: bob) == [.refused(bob, .tooManyLeases(limit: 3))])
        #expect(table.acquire("c", by: bob) == [.granted("c", to: bob, token: 2)])
        #expect(table.acquire("d", by: bob) == [.refused(bob, .tooManyLeases(limit: 3))])
        table.release("b", by: alice)
        #expect(table.acquire("d e", by: bob) == [.granted("d e", to: bob, token: 3)])
    }

    @Test func requestThatWaitsCountsForEachOfItsNames() {
        let table = TableFixture { $0.leases = 4 }
        table.acquire("a", by: alice)
        #expect(table.acquire("a b", by: bob) == [])
        #expect(table.acquire("a b", by: carol) == [.refused(carol, .tooManyLeases(limit: 4))])
        #expect(table.acquire("c", by: carol) == [.granted("c", to: carol, token: 2)])
        #expect(table.acquire("d", by: carol) == [.refused(carol, .tooManyLeases(limit: 4))])
        // One that waits for one name and is exclusive adds nothing.
        #expect(table.acquire("a", by: carol) == [])
    }

    @Test func whatARequestCountedForIsFreeWhenItEnds() {
        let table = TableFixture { $0.leases = 3 }
        table.acquire("a", by: alice)
        table.acquire("a b", by: bob.tagged("1"))
        #expect(table.acquire("c", by: carol) == [.refused(carol, .tooManyLeases(limit: 3))])
        table.cancel("1", by: bob)
        #expect(table.acquire("a b", by: bob, wait: .after(.seconds(1))) == [])
        #expect(table.acquire("c", by: carol) == [.refused(carol, .tooManyLeases(limit: 3))])
        table.advance(.seconds(1))
        #expect(table.acquire("c d", by: carol) == [.granted("c d", to: carol, token: 2)])
    }

    /// In place of one lease on many names come as many as it had.
    @Test func thereAreNoMoreLeasesInAllThoughOneMakesRoomForMany() {
        let table = TableFixture { $0.leases = 4 }
        table.acquire("a b c d", by: alice)
        for name in ["a", "b", "c", "d"] as [LockNames] { #expect(table.acquire(name, by: bob) == []) }
        #expect(table.acquire("e", by: carol) == [.refused(carol, .tooManyLeases(limit: 4))])
        #expect(table.release("a", by: alice).count == 5)
        #expect(table.leaseCount == 4)
        #expect(table.acquire("e", by: carol) == [.refused(carol, .tooManyLeases(limit: 4))])
    }

    /// The request in front of a free name makes room for those behind it when it goes.
    @Test func thereAreNoMoreLeasesInAllThoughAWaitMakesRoomForMany() {
        let table = TableFixture { $0.leases = 5 }
        table.acquire("a", by: alice)
        table.acquire("a b c d", by: bob.tagged("w"))
        for name in ["b", "c", "d"] as [LockNames] { #expect(table.acquire(name, by: carol) == []) }
        #expect(table.acquire("x", by: carol) == [.refused(carol, .tooManyLeases(limit: 5))])
        #expect(table.cancel("w", by: bob).count == 5)
        #expect(table.leaseCount == 4)
        #expect(table.acquire("x y", by: carol) == [.refused(carol, .tooManyLeases(limit: 5))])
        #expect(table.acquire("x", by: carol) == [.granted("x", to: carol, token: 5)])
    }

    @Test func grantThatIsPutOffCounts() {
        let table = TableFixture {
            $0.leases = 4
            $0.grantsPerTurn = 1
        }
        table.acquire("a b", by: alice)
        table.acquire("a", by: bob)
        table.acquire("b", by: carol)
        table.release("a", by: alice)
        // One was granted, one will be.
        #expect(table.leaseCount == 1)
        #expect(table.acquire("c d e", by: alice) == [.refused(alice, .tooManyLeases(limit: 4))])
        #expect(table.acquire("c d", by: alice) == [.granted("c d", to: alice, token: 3)])
        table.passTime()
        #expect(table.leaseCount == 3)
    }

    @Test func leaseOnSeveralNamesIsOneOfItsSession() {
        let table = TableFixture { $0.leasesPerSession = 2 }
        table.acquire("a b c", by: alice)
        #expect(table.acquire("d e f", by: alice) == [.granted("d e f", to: alice, token: 2)])
        #expect(table.acquire("x y", by: alice) == [.refused(alice, .tooManyLeasesOfSession(limit: 2))])
    }

    @Test func requestForSeveralNamesIsOneWait() {
        let table = TableFixture {
            $0.waiters = 2
            $0.waitersPerSession = 1
        }
        table.acquire("a", by: alice)
        #expect(table.acquire("a b c", by: bob) == [])
        #expect(table.acquire("b c", by: bob) == [.refused(bob, .tooManyWaitersOfSession(limit: 1))])
        #expect(table.acquire("c a", by: carol) == [])
        #expect(table.waiterCount == 2)
        #expect(table.acquire("x b", by: alice) == [.refused(alice, .tooManyWaiters(limit: 2))])
    }

    @Test func refusedRequestForSeveralNamesLeavesNoTrace() {
        let table = TableFixture { $0.waiters = 0 }
        table.acquire("b", by: alice)
        table.acquire("a b", by: bob.tagged("1"), wait: .after(.seconds(1)))
        #expect(table.nextDeadline() == nil)
        #expect(table.lockCount == 1)
        #expect(table.acquire("a", by: carol) == [.granted("a", to: carol, token: 2)])
    }

    @Test func thereMayBeSixteenNames() throws {
        let table = TableFixture { $0.leases = 16 }
        let all = (1...16).map { "job/\($0)" }
        let names = LockNames(stringLiteral: all.joined(separator: " "))
        #expect(table.acquire(names, by: alice) == [.granted(names, to: alice, token: 1)])
        #expect(table.acquire(names, by: bob) == [.refused(bob, .tooManyLeases(limit: 16))])
        for name in all.prefix(3) { #expect(table.acquire(LockNames(stringLiteral: name), by: carol) == []) }
        #expect(table.release("job/16", by: alice).count == 4)
    }
}
