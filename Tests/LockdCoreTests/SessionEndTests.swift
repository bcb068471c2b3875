import LockdCore
import LockdModel
import Testing

@Suite struct SessionEndTests {
    @Test func waitsEndWithTheInput() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("mail", by: alice)
        table.acquire("mail", by: bob)
        table.acquire("db", by: bob.tagged("1"))
        table.moveClock(.seconds(2))
        #expect(
            table.endInput(of: bob) == [
                .cancelled("mail", to: bob, waited: .seconds(2)),
                .cancelled("db", to: bob.tagged("1"), waited: .seconds(2)),
            ]
        )
        #expect(table.waiterCount == 0)
        #expect(table.totals.cancelled == 2)
    }

    @Test func whatWasDueBeforeTheInputEndedHasEndedBefore() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.acquire("mail", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.acquire("mail", by: bob.tagged("2"), wait: .after(.seconds(1)))
        table.acquire("mail", by: bob.tagged("3"))
        table.moveClock(.seconds(2))
        #expect(
            table.endInput(of: bob) == [
                .expired("db", of: alice, token: 1),
                .granted("db", to: bob.tagged("1"), token: 3),
                .timedOut(
                    "mail",
                    to: bob.tagged("2"),
                    waited: .seconds(2),
                    holder: alice,
                    held: .seconds(2),
                    waiters: 1
                ),
                .cancelled("mail", to: bob.tagged("3"), waited: .seconds(2)),
            ]
        )
    }

    @Test func drainingSessionKeepsItsLeases() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(table.endInput(of: alice) == [])
        #expect(table.passTime() == [])
        #expect(table.acquire("db", by: alice) == [.held("db", by: alice, token: 1)])
        #expect(table.renew("db", by: alice) == [.renewed("db", to: alice, token: 1, ttl: nil)])
        #expect(table.release("db", by: alice).first == .released("db", to: alice, token: 1))
    }

    @Test func drainingSessionCanAcquireWhatIsFree() {
        let table = TableFixture()
        table.endInput(of: alice)
        #expect(table.acquire("db", by: alice) == [.granted("db", to: alice, token: 1)])
    }

    @Test(arguments: [WaitTimeout.none, .after(.seconds(5)), .never])
    func drainingSessionCannotWait(_ wait: WaitTimeout) {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.endInput(of: bob)
        #expect(table.acquire("db", by: bob, wait: wait) == [.busy("db", to: bob, holder: alice)])
        #expect(table.waiterCount == 0)
    }

    @Test func drainingSessionIsToldOfItsLosses() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.endInput(of: alice)
        #expect(table.advance(.seconds(1)) == [.expired("db", of: alice, token: 1)])
    }

    @Test func leasesEndWithTheSessionAndWaitersAreGranted() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("mail", by: alice)
        table.acquire("db", by: bob)
        #expect(table.disconnect(alice) == [])
        #expect(table.passTime() == [.granted("db", to: bob, token: 3)])
        #expect(table.leaseCount == 1)
        #expect(table.totals.ended == 2)
        #expect(table.totals.expired == 0)
    }

    @Test func sessionWithoutLeasesLeavesNothingBehind() {
        let table = TableFixture()
        #expect(table.disconnect(alice) == [])
        #expect(table.nextDeadline() == nil)
    }

    @Test func requestForANameOfAnEndedSessionSeesItFree() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.disconnect(alice)
        #expect(table.acquire("db", by: bob, wait: .none) == [.granted("db", to: bob, token: 2)])
    }

    @Test func requestForANameOfAnEndedSessionQueuesBehindItsWaiters() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.disconnect(alice)
        #expect(
            table.acquire("db", by: carol, wait: .none)
                == [.granted("db", to: bob, token: 2), .busy("db", to: carol, holder: bob)]
        )
    }

    @Test func leaseOfAnEndedSessionCannotBeRevoked() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.disconnect(alice)
        #expect(table.revoke("db", by: bob) == [.notHeld("db", to: bob)])
    }

    @Test func lookingAtANameOfAnEndedSessionGrantsItsWaiter() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.disconnect(alice)
        #expect(table.inspect("db") == [.granted("db", to: bob, token: 2)])
    }

    @Test func endedSessionIsNotToldThatItsLeaseExpired() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.disconnect(alice)
        #expect(table.advance(.seconds(5)) == [])
        #expect(table.totals.ended == 1)
        #expect(table.totals.expired == 0)
    }

    @Test func leaseThatWasDueBeforeTheSessionEndedHasExpired() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.moveClock(.seconds(1))
        table.disconnect(alice)
        #expect(table.passTime() == [])
        #expect(table.totals.expired == 1)
        #expect(table.totals.ended == 0)
    }

    @Test func manyLeasesOfASessionEndInSlices() {
        let table = TableFixture { $0.endingsPerTurn = 1000 }
        let names = (0..<10_000).map { name($0) }
        var effects: [Effect] = []
        var plain = table.table
        for name in names {
            plain.apply(.acquireRequested(AcquireRequest(alice, LockNames(name))), at: table.now, effects: &effects)
        }
        plain.apply(.acquireRequested(AcquireRequest(bob, LockNames(names[9999]))), at: table.now, effects: &effects)
        plain.apply(.inputEnded(alice.session), at: table.now, effects: &effects)
        plain.apply(.sessionEnded(alice.session), at: table.now, effects: &effects)
        plain.checkInvariants()
        #expect(effects.count == 10_000)

        effects = []
        for slice in 1...10 {
            #expect(plain.nextDeadline == table.now)
            plain.apply(.timePassed, at: table.now, effects: &effects)
            #expect(plain.leaseCount == 10_000 - 1000 * slice + effects.count)
        }
        #expect(effects.map(\.withoutPredecessor) == [.granted(LockNames(names[9999]), to: bob, token: 10_001)])
        #expect(plain.nextDeadline == nil)
        plain.checkInvariants()
    }

    @Test func requestsBetweenTheSlicesSeeAllLeasesEnded() {
        let table = TableFixture {
            $0.endingsPerTurn = 2
            $0.waitersPerSession = 2
        }
        for number in 0..<5 { table.acquire(LockNames(name(number)), by: alice) }
        table.acquire(LockNames(name(4)), by: bob.tagged("1"))
        table.disconnect(alice)

        table.passTime()
        #expect(table.acquire(LockNames(name(3)), by: carol) == [.granted(LockNames(name(3)), to: carol, token: 6)])
        #expect(
            table.release(name(4), by: bob)
                == [
                    .granted(LockNames(name(4)), to: bob.tagged("1"), token: 7),
                    .released(LockNames(name(4)), to: bob, token: 7),
                ]
        )
        table.passTime()
        #expect(table.nextDeadline() == nil)
        #expect(table.totals.ended == 5)
    }

    @Test func sessionsEndOneAfterTheOther() {
        let table = TableFixture {
            $0.endingsPerTurn = 2
            $0.waitersPerSession = 2
        }
        for number in 0..<3 { table.acquire(LockNames(name(number)), by: alice) }
        for number in 3..<6 { table.acquire(LockNames(name(number)), by: bob) }
        for number in 0..<6 {
            table.acquire(LockNames(name(number)), by: carol.tagged(Tag(UInt64(number))), wait: .none)
        }
        table.disconnect(bob)
        table.disconnect(alice)
        table.passTime()
        #expect(table.leaseCount == 4)
        table.passTime()
        #expect(table.leaseCount == 2)
        #expect(table.nextDeadline() == .seconds(0))
        table.passTime()
        #expect(table.leaseCount == 0)
        #expect(table.nextDeadline() == nil)
    }

    private func name(_ number: Int) -> LockName { LockName(stringLiteral: "job/\(number)") }
}
