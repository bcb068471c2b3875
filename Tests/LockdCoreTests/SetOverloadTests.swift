import LockdCore
import LockdModel
import Testing

/// Names that are claimed together, while more is due than one turn ends.
@Suite struct SetOverloadTests {
    /// A table that works off one ending at a time; Carol's leases on `c` and `d` are due before all else, and keep it busy.
    private func overloadedTable(_ arrange: (TableFixture) -> Void) -> TableFixture {
        let table = TableFixture {
            $0.endingsPerTurn = 1
            $0.waitersPerSession = 1
        }
        table.acquire("c", by: carol, ttl: .seconds(1))
        table.acquire("d", by: carol, ttl: .seconds(2))
        arrange(table)
        return table
    }

    @Test func waitThatIsOverIsNotGrantedByARelease() {
        let table = overloadedTable { table in
            table.acquire("a b", by: alice)
            table.acquire("a", by: bob, wait: .after(.seconds(3)))
        }
        table.acquire("b", by: carol)
        table.moveClock(.seconds(10))
        let effects = table.release("a", by: alice)
        #expect(!effects.contains(.granted("a", to: bob, token: 4)))
        #expect(effects.contains(.granted("b", to: carol, token: 4)))
    }

    @Test func waitThatIsOverIsNotGrantedByARevocation() {
        let table = overloadedTable { table in
            table.acquire("a b", by: alice)
            table.acquire("a", by: bob, wait: .after(.seconds(3)))
        }
        table.moveClock(.seconds(10))
        #expect(!table.revoke("b", by: bob).contains(.granted("a", to: bob, token: 4)))
    }

    @Test func waitThatIsOverIsNotGrantedWhenTheOneBeforeItIsCancelled() {
        let table = overloadedTable { table in
            table.acquire("a", by: alice)
            table.acquire("a b", by: bob.tagged("1"))
            table.acquire("b", by: carol, wait: .after(.seconds(3)))
        }
        table.moveClock(.seconds(10))
        #expect(!table.cancel("1", by: bob).contains(.granted("b", to: carol, token: 4)))
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
