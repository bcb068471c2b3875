import LockdCore
import LockdModel
import Testing

/// Names that are claimed together, while more is due than one turn ends.
@Suite struct SetOverloadTests {
    /// Carol's four leases are due before Alice's, and two endings are worked off at a time.
    private func overloadedTable() -> TableFixture {
        let table = TableFixture {
            $0.endingsPerTurn = 2
            $0.waitersPerSession = 2
        }
        for number in 1...4 as ClosedRange<Int64> {
            table.acquire(LockNames(stringLiteral: "c\(number)"), by: carol, ttl: .seconds(number))
        }
        table.acquire("a b", by: alice, ttl: .seconds(5))
        table.moveClock(.seconds(10))
        return table
    }

    private func expiries(_ numbers: ClosedRange<UInt64>) -> [Effect] {
        numbers.map { .expired(LockNames(stringLiteral: "c\($0)"), of: carol, token: FencingToken($0)) }
    }

    @Test func requestsWorkOffSoMuchAtOneInstant() {
        let table = overloadedTable()
        #expect(table.inspect("a") == expiries(1...2))
        #expect(table.inspect("a") == [])
        #expect(table.inspect("b") == [])
        table.moveClock(nanoseconds: 1)
        #expect(table.inspect("b") == expiries(3...4))
        #expect(table.inspect("b") == [])
        table.moveClock(nanoseconds: 1)
        #expect(table.inspect("b") == [.expired("a b", of: alice, token: 5)])
        #expect(table.nextDeadline() == nil)
    }

    @Test func timeIsWorkedOffWhateverRequestsHaveDoneAtTheInstant() {
        let table = overloadedTable()
        #expect(table.inspect("a") == expiries(1...2))
        #expect(table.passTime() == expiries(3...4))
        #expect(table.inspect("a") == [])
        #expect(table.passTime() == [.expired("a b", of: alice, token: 5)])
    }

    @Test func namesThatAreNotTiedAreSettledAllTheSame() {
        let table = overloadedTable()
        table.inspect("a")
        #expect(table.inspect("c4") == expiries(4...4))
        #expect(table.acquire("c3", by: bob) == expiries(3...3) + [.granted("c3", to: bob, token: 6)])
    }

    @Test func leaseThatIsOverLooksHeldAndIsNobodys() {
        let table = overloadedTable()
        #expect(table.renew("a", by: alice) == expiries(1...2) + [.notHeld("a", to: alice)])
        #expect(table.release("b", by: alice) == [.notHeld("b", to: alice)])
        #expect(table.revoke("b", by: bob) == [.notHeld("b", to: bob)])
        let busy = Effect.busy("b a", to: alice, holder: alice, held: .seconds(10))
        #expect(table.acquire("b a", by: alice, wait: .none) == [busy])
        #expect(table.acquire("b", by: bob) == [])
        #expect(table.passTime() == expiries(3...4))
        #expect(table.passTime() == [.expired("a b", of: alice, token: 5), .granted("b", to: bob, token: 6)])
    }

    /// More locks fall idle in the course of a request than are remembered.
    @Test func lockThatIsForgottenWhileARequestForItIsLookedAtIsNotMissed() {
        for event in [
            .acquireRequested(AcquireRequest(bob, "a")), .acquireRequested(AcquireRequest(bob, "a x")),
            .releaseRequested(bob, "a", token: nil), .revokeRequested(bob, "a", token: nil, reason: nil),
            .nameInspected("a"), .renewRequested(bob, "a", token: nil, timeToLive: nil),
        ] as [Event] {
            let table = TableFixture { $0.idleLocks = 1 }
            table.acquire("a b", by: alice, ttl: .seconds(1))
            table.acquire("c d", by: alice, ttl: .seconds(2))
            table.moveClock(.seconds(3))
            // Without the auditor, who never forgets.
            var plain = table.table
            let effects = plain.apply(event, at: table.now)
            #expect(effects.prefix(2) == [.expired("a b", of: alice, token: 1), .expired("c d", of: alice, token: 2)])
            #expect(plain.nextDeadline == nil)
            plain.checkInvariants()
        }
    }

    /// The wait of which a request speaks ends, and with it its locks.
    @Test func locksOfAWaitThatAreForgottenMeanwhileAreNotMissed() {
        for event in [
            .cancelRequested(bob, tag: "1"), .inputEnded(bob.session),
            .acquireRequested(AcquireRequest(bob.tagged("1"), "x")),
        ] as [Event] {
            let table = TableFixture { $0.idleLocks = 1 }
            table.acquire("a", by: alice, ttl: .seconds(2))
            table.acquire("b a", by: bob.tagged("1"), wait: .after(.seconds(1)))
            table.acquire("c d", by: carol, ttl: .seconds(3))
            table.moveClock(.seconds(4))
            let effects = table.apply(event)
            #expect(effects.count >= 3)
            #expect(table.nextDeadline() == nil)
        }
    }
}
