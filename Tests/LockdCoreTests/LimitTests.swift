import LockdCore
import LockdModel
import Testing

@Suite struct LimitTests {
    @Test func tagOfAWaitingRequestIsInUse() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        #expect(table.acquire("mail", by: bob.tagged("1")) == [.refused(bob.tagged("1"), .tagInUse("1"))])
        #expect(table.lockCount == 1)
        #expect(table.totals.refused == 1)
    }

    @Test func tagOfAnAnsweredRequestIsFree() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"))
        #expect(table.acquire("mail", by: alice.tagged("1")) == [.granted("mail", to: alice.tagged("1"), token: 2)])
    }

    @Test func tagsOfTwoSessionsAreTwo() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        #expect(table.acquire("mail", by: carol.tagged("1")) == [.granted("mail", to: carol.tagged("1"), token: 2)])
    }

    @Test func tagOfAWaitThatRanOutIsFree() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"), wait: .after(.seconds(1)))
        table.moveClock(.seconds(1))
        #expect(
            table.acquire("mail", by: bob.tagged("1")) == [
                .timedOut("db", to: bob.tagged("1"), waited: .seconds(1), holder: alice, held: .seconds(1)),
                .granted("mail", to: bob.tagged("1"), token: 2),
            ]
        )
    }

    @Test func tagOfAWaitWhoseTurnHasComeIsFree() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.disconnect(alice)
        #expect(
            table.acquire("mail", by: bob.tagged("1")) == [
                .granted("db", to: bob.tagged("1"), token: 2), .granted("mail", to: bob.tagged("1"), token: 3),
            ]
        )
    }

    @Test func sessionHasSoManyLeases() {
        let table = TableFixture { $0.leasesPerSession = 2 }
        table.acquire("a", by: alice)
        table.acquire("b", by: alice)
        #expect(table.acquire("c", by: alice) == [.refused(alice, .tooManyLeasesOfSession(limit: 2))])
        #expect(table.acquire("c", by: bob) == [.granted("c", to: bob, token: 3)])
        table.release("a", by: alice)
        #expect(table.acquire("d", by: alice) == [.granted("d", to: alice, token: 4)])
    }

    @Test func waitsCountAsLeasesOfTheSession() {
        let table = TableFixture { $0.leasesPerSession = 2 }
        table.acquire("a", by: alice)
        table.acquire("a", by: bob.tagged("1"))
        table.acquire("b", by: bob)
        #expect(table.acquire("c", by: bob) == [.refused(bob, .tooManyLeasesOfSession(limit: 2))])
        #expect(table.acquire("a", by: bob) == [.refused(bob, .tooManyLeasesOfSession(limit: 2))])
    }

    @Test func grantFromTheQueueIsNeverRefused() {
        let table = TableFixture {
            $0.leases = 1
            $0.leasesPerSession = 1
        }
        table.acquire("a", by: alice)
        table.acquire("a", by: bob)
        #expect(table.release("a", by: alice).last == .granted("a", to: bob, token: 2))
    }

    @Test func thereAreSoManyLeasesInAll() {
        let table = TableFixture { $0.leases = 2 }
        table.acquire("a", by: alice)
        table.acquire("b", by: bob)
        #expect(table.acquire("c", by: carol) == [.refused(carol, .tooManyLeases(limit: 2))])
        #expect(table.lockCount == 2)
        #expect(table.acquire("a", by: carol) == [])
    }

    @Test func thereAreNoMoreLeasesInAllThoughManyAreGrantedTogether() {
        let table = TableFixture {
            $0.leases = 3
            $0.waiters = 3
        }
        let names: [LockName] = ["a", "b", "c"]
        for name in names { table.acquire(LockNames(name), by: alice) }
        for name in names {
            for tag in 1...3 as ClosedRange<UInt64> {
                table.acquire(LockNames(name), by: bob.tagged(Tag(tag)), limit: .shared)
            }
            table.release(name, by: alice)
        }
        #expect(table.leaseCount <= table.limits.leases)
    }

    @Test func sessionHasSoManyWaits() {
        let table = TableFixture { $0.waitersPerSession = 1 }
        table.acquire("a", by: alice)
        table.acquire("a", by: bob.tagged("1"))
        #expect(table.acquire("a", by: bob) == [.refused(bob, .tooManyWaitersOfSession(limit: 1))])
        #expect(table.acquire("a", by: carol) == [])
        table.cancel("1", by: bob)
        #expect(table.acquire("a", by: bob) == [])
    }

    @Test func thereAreSoManyWaitsInAll() {
        let table = TableFixture { $0.waiters = 1 }
        table.acquire("a", by: alice)
        table.acquire("a", by: bob)
        #expect(table.acquire("a", by: carol) == [.refused(carol, .tooManyWaiters(limit: 1))])
        #expect(table.acquire("b", by: carol) == [.granted("b", to: carol, token: 2)])
    }

    @Test func refusedRequestLeavesNoTrace() {
        let table = TableFixture { $0.waiters = 0 }
        table.acquire("a", by: alice)
        table.acquire("a", by: bob.tagged("1"), wait: .after(.seconds(1)))
        #expect(table.nextDeadline() == nil)
        #expect(table.cancel("1", by: bob) == [.notWaiting("1", to: bob)])
        #expect(table.release("a", by: alice) == [.released("a", to: alice, token: 1)])
    }

    @Test func tryOfAHeldLockIsBusyWhateverTheLimits() {
        let table = TableFixture {
            $0.leasesPerSession = 1
            $0.waitersPerSession = 0
        }
        table.acquire("a", by: alice)
        table.acquire("b", by: bob)
        #expect(table.acquire("a", by: bob, wait: .none) == [.busy("a", to: bob, holder: alice)])
    }

    @Test func ownLeaseThatIsDueDoesNotCount() {
        let table = TableFixture { $0.leasesPerSession = 1 }
        table.acquire("a", by: alice, ttl: .seconds(1))
        table.moveClock(.seconds(1))
        #expect(
            table.acquire("a", by: alice)
                == [.expired("a", of: alice, token: 1), .granted("a", to: alice, token: 2)]
        )
    }

    @Test func ownWaitWhoseTurnHasComeDoesNotCount() {
        let table = TableFixture { $0.waitersPerSession = 1 }
        table.acquire("a", by: alice, ttl: .seconds(1))
        table.acquire("a", by: bob.tagged("1"))
        table.moveClock(.seconds(1))
        #expect(
            table.acquire("a", by: bob.tagged("2"))
                == [.expired("a", of: alice, token: 1), .granted("a", to: bob.tagged("1"), token: 2)]
        )
        #expect(table.waiterCount == 1)
    }

    @Test func waitsOfASessionMustEndInOneTurn() async {
        await #expect(processExitsWith: .failure) {
            var limits = Limits()
            limits.endingsPerTurn = limits.waitersPerSession - 1
            _ = LockTable(limits: limits, firstToken: 1, reservedThrough: 1)
        }
    }
}
