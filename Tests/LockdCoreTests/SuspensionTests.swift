import LockdModel
import Testing

@testable import LockdCore

/// Times during which nothing is granted.
@Suite struct SuspensionTests {
    private func suspendedTable(_ changeLimits: (inout Limits) -> Void = { _ in }) -> TableFixture {
        let table = TableFixture(changeLimits)
        table.suspend(.seconds(10))
        return table
    }

    @Test func freeNameIsWaitedForAndGrantedThen() {
        let table = suspendedTable()
        #expect(table.nextDeadline() == nil)
        #expect(table.acquire("db", by: alice) == [])
        #expect(table.acquire("db", by: bob) == [])
        #expect(table.nextDeadline() == .seconds(10))
        #expect(table.advance(Milliseconds(9999)) == [])
        #expect(table.advance(Milliseconds(1)) == [.granted("db", to: alice, token: 1)])
        #expect(table.nextDeadline() == nil)
        #expect(table.release("db", by: alice).last == .granted("db", to: bob, token: 2))
    }

    @Test func whatCannotWaitIsRefusedThoughNobodyHoldsTheName() {
        let table = suspendedTable()
        let busy = Effect.sendBusy(alice, "db", holder: nil, waiterCount: 0)
        #expect(table.acquire("db", by: alice, wait: .none) == [busy])
        #expect(table.acquire("db", by: alice, maxQueue: 0) == [busy])
        table.acquire("db", by: bob)
        #expect(table.acquire("db", by: alice, wait: .none) == [.sendBusy(alice, "db", holder: nil, waiterCount: 1)])
        table.endInput(of: carol)
        #expect(table.acquire("mail", by: carol) == [.sendBusy(carol, "mail", holder: nil, waiterCount: 0)])
    }

    @Test func everythingElseGoesOn() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.acquire("mail", by: bob)
        table.acquire("mail", by: carol)
        table.suspend(.seconds(10))
        #expect(table.renew("db", by: alice) == [.renewed("db", to: alice, token: 1, ttl: .seconds(1))])
        #expect(table.acquire("db", by: alice) == [.held("db", by: alice, token: 1, ttl: .seconds(1))])
        #expect(table.advance(.seconds(1)) == [.expired("db", of: alice, token: 1)])
        #expect(table.release("mail", by: bob) == [.released("mail", to: bob, token: 2)])
        #expect(table.advance(.seconds(9)) == [.granted("mail", to: carol, token: 3)])
    }

    @Test func sharedLeaseIsNotGrantedBesideOthers() {
        let table = TableFixture()
        table.acquire("db", by: bob, limit: .shared)
        table.suspend(.seconds(10))
        #expect(table.acquire("db", by: alice, wait: .none, limit: .shared) == [.busy("db", to: alice, holder: bob)])
        #expect(table.acquire("db", by: alice, limit: .shared) == [])
        #expect(table.advance(.seconds(10)) == [.granted("db", to: alice, token: 2)])
    }

    @Test func waitThatRunsOutBeforeHasRunOutHoweverLateTheTableHearsOfIt() {
        for seconds: Int64 in [9, 100] {
            let table = suspendedTable()
            table.acquire("db", by: alice, wait: .after(.seconds(9)))
            table.acquire("db", by: bob, wait: .after(.seconds(10)))
            table.moveClock(.seconds(seconds))
            let timeout = Effect.sendTimedOut(alice, "db", waited: .seconds(seconds), holder: nil, waiterCount: 1)
            let grant = Effect.granted("db", to: bob, token: 1)
            // At the same instant the one that could be granted is.
            #expect(table.passTime() == (seconds < 10 ? [timeout] : [timeout, grant]))
        }
    }

    @Test func leaseThatExpiresMeanwhileMakesRoomForWhatIsGrantedThen() {
        let table = TableFixture()
        table.acquire("db", by: bob, ttl: .seconds(5))
        table.acquire("db", by: alice, wait: .after(.seconds(7)))
        table.acquire("db", by: carol)
        table.suspend(.seconds(10))
        table.moveClock(.seconds(20))
        let timeout = Effect.sendTimedOut(alice, "db", waited: .seconds(20), holder: nil, waiterCount: 1)
        #expect(
            table.inspect("db") == [
                .expired("db", of: bob, token: 1), timeout, .granted("db", to: carol, token: 2),
            ]
        )
    }

    @Test func headsOfAllQueuesAreGrantedInSlices() {
        let table = suspendedTable { $0.grantsPerTurn = 2 }
        for number in 1...5 as ClosedRange<UInt64> {
            table.acquire(LockNames(stringLiteral: "n\(number)"), by: alice.tagged(Tag(number)))
        }
        #expect(table.advance(.seconds(10)).count == 2)
        #expect(table.nextDeadline() == .seconds(0))
        #expect(table.passTime().count == 2)
        #expect(table.passTime().count == 1)
        #expect(table.nextDeadline() == nil)
    }

    @Test func setsOfNamesAreGrantedAsWholes() {
        let table = suspendedTable()
        table.acquire("a b", by: alice)
        table.acquire("b", by: bob)
        table.acquire("c a", by: carol)
        #expect(table.advance(.seconds(10)) == [.granted("a b", to: alice, token: 1)])
        #expect(table.nextDeadline() == nil)
    }

    @Test func nothingGoesTheShortWay() {
        let fixture = TableFixture()
        fixture.acquire("db", by: bob)
        fixture.release("db", by: bob)
        fixture.suspend(.seconds(10))
        var table = fixture.table
        let event = Event.acquireRequested(AcquireRequest(alice, "db"))
        #expect(table.effectAtOnce(of: event, at: fixture.now) == nil)
        fixture.moveClock(.seconds(10))
        #expect(table.effectAtOnce(of: event, at: fixture.now) == .granted("db", to: alice, token: 2))
    }

    @Test func whatWaitsForFreeNamesCountsAsLeasesToCome() {
        let table = suspendedTable { $0.leases = 3 }
        // Each counts twice, once for itself and once for its name, since that could be granted.
        table.acquire("a", by: alice)
        #expect(table.acquire("b", by: bob.tagged("1")) == [])
        #expect(table.acquire("c", by: bob.tagged("2")) == [.refused(bob.tagged("2"), .tooManyLeases(limit: 3))])
    }

    @Test func whatWaitsForFreeNamesCountsForItsUser() {
        let table = suspendedTable { $0.leasesPerUser = 1 }
        table.acquire("a", by: alice)
        #expect(table.acquire("b", by: bob) == [.refused(bob, .tooManyLeasesOfUser(limit: 1))])
        #expect(table.advance(.seconds(10)) == [.granted("a", to: alice, token: 1)])
        table.release("a", by: alice)
        #expect(table.acquire("b", by: bob) == [.granted("b", to: bob, token: 2)])
    }

    @Test func suspensionIsNeverShortened() {
        let table = suspendedTable()
        table.suspend(.seconds(1))
        table.acquire("db", by: alice)
        #expect(table.nextDeadline() == .seconds(10))
        table.suspend(.seconds(20))
        #expect(table.nextDeadline() == .seconds(20))
        #expect(table.advance(.seconds(20)) == [.granted("db", to: alice, token: 1)])
    }

    @Test func nobodysTurnComesMeanwhile() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.acquire("db", by: alice.tagged("w"), wait: .after(.seconds(100)))
        table.detach(alice)
        table.release("db", by: bob)
        #expect(table.nextDeadline() == .seconds(10))
        table.suspend(.seconds(30))
        #expect(table.nextDeadline() == .seconds(30))
        #expect(table.advance(.seconds(30)) == [])
        #expect(table.nextDeadline() == .seconds(10))
        table.suspend(.seconds(50))
        // Back, and not granted: it waits as long as it wanted to.
        #expect(table.attach(alice) == [])
        table.suspend(.seconds(90))
        #expect(table.nextDeadline() == .seconds(70))
        #expect(table.advance(.seconds(70)).count == 1)
    }

    @Test func requestForAFreeNameIsNoDeadlock() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("a", by: bob)
        table.suspend(.seconds(10))
        // It is held back itself, with Bob behind its lease.
        #expect(table.acquire("b", by: alice) == [])
        #expect(table.advance(.seconds(10)) == [.granted("b", to: alice, token: 2)])
    }
}

extension TableFixture {
    /// From now on, for so long.
    func suspend(_ length: Milliseconds) { apply(.grantsSuspended(until: now + length)) }
}
