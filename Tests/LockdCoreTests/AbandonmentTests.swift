import LockdCore
import LockdModel
import Testing

/// The next holder is told when the one before did not release.
@Suite struct AbandonmentTests {
    private func abandonment(
        _ ending: Abandonment.Ending,
        of id: RequestID,
        token: FencingToken,
        held: Milliseconds,
        note: Text? = nil
    ) -> Abandonment {
        Abandonment(
            ending,
            token: token,
            process: ProcessID(Int32(id.session.value)),
            user: id == carol ? UserID(1001) : UserID(1000),
            command: "worker",
            held: held,
            note: note
        )
    }

    @Test func releaseIsNothingToSpeakOf() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.release("db", by: alice)
        #expect(table.abandonments == [])
    }

    @Test func nextHolderIsToldOfAnEndedSession() {
        let table = TableFixture()
        table.acquire("db", by: alice, note: "nightly")
        table.acquire("db", by: bob)
        table.moveClock(.seconds(3))
        table.disconnect(alice)
        #expect(table.passTime() == [.granted("db", to: bob, token: 2)])
        #expect(table.abandonments == [abandonment(.ended, of: alice, token: 1, held: .seconds(3), note: "nightly")])
    }

    @Test func heldIsCountedToTheDeadlineHoweverLateItIsNoticed() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10))
        table.acquire("db", by: bob)
        table.advance(.seconds(60))
        #expect(table.abandonments == [abandonment(.expired, of: alice, token: 1, held: .seconds(10))])
    }

    @Test func nextHolderIsToldOfARevocation() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: carol)
        table.revoke("db", by: bob)
        #expect(table.abandonments == [abandonment(.revoked, of: alice, token: 1, held: .seconds(0))])
    }

    @Test func nextHolderIsToldHoweverLateItComes() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.advance(.seconds(1))
        table.advance(.seconds(1000))
        #expect(table.acquire("db", by: bob) == [.granted("db", to: bob, token: 2)])
        #expect(table.abandonments == [abandonment(.expired, of: alice, token: 1, held: .seconds(1))])
    }

    @Test func onlyTheFirstOfTheNextHoldersIsTold() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, limit: .shared)
        table.acquire("db", by: carol, limit: .shared)
        table.revoke("db", by: bob)
        #expect(table.abandonments.count == 1)
        table.release("db", by: bob)
        table.release("db", by: carol)
        table.acquire("db", by: alice)
        #expect(table.abandonments == [])
    }

    @Test func ofSeveralHoldersTheLastToGoIsSpokenOf() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared, ttl: .seconds(1))
        table.acquire("db", by: bob, limit: .shared, ttl: .seconds(2))
        table.acquire("db", by: carol)
        table.advance(.seconds(5))
        #expect(table.abandonments == [abandonment(.expired, of: bob, token: 2, held: .seconds(2))])
    }

    @Test func releaseOfTheOtherHoldersDoesNotHideIt() {
        let table = TableFixture()
        table.acquire("db", by: alice, limit: .shared, ttl: .seconds(1))
        table.acquire("db", by: bob, limit: .shared)
        table.acquire("db", by: carol)
        table.advance(.seconds(1))
        table.release("db", by: bob)
        #expect(table.abandonments == [abandonment(.expired, of: alice, token: 1, held: .seconds(1))])
    }

    @Test func nextHolderOfEachNameIsToldOfALeaseOnSeveral() {
        let table = TableFixture()
        table.acquire("a b c", by: alice, ttl: .seconds(2), note: "nightly")
        table.advance(.seconds(5))
        let expected = abandonment(.expired, of: alice, token: 1, held: .seconds(2), note: "nightly")
        table.acquire("b", by: bob)
        #expect(table.abandonments == [expected])
        table.acquire("a c", by: bob)
        #expect(table.abandonments == [expected])
        table.release("b", by: bob)
        table.release("c", by: bob)
        table.acquire("a b c", by: carol)
        #expect(table.abandonments == [])
    }

    @Test func ofSeveralNamesTheLeaseThatWasGrantedLastIsSpokenOf() {
        for (names, token) in [("a b", 3), ("b a", 3), ("a c", 2), ("c a", 2)] as [(LockNames, FencingToken)] {
            let table = TableFixture()
            table.acquire("c", by: alice)
            table.acquire("a", by: alice, ttl: .seconds(5))
            table.acquire("b", by: bob, ttl: .seconds(1))
            table.release("c", by: alice)
            table.advance(.seconds(9))
            table.acquire(names, by: carol)
            #expect(table.abandonments.map(\.token) == [token])
        }
    }

    @Test func grantOfSeveralNamesForgetsWhatWasLeftOnEachOfThem() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("b", by: alice)
        table.revoke("a", by: bob)
        table.revoke("b", by: bob)
        table.acquire("a b", by: carol)
        #expect(table.abandonments.map(\.token) == [2])
        table.release("a", by: carol)
        table.acquire("a", by: carol)
        #expect(table.abandonments == [])
    }

    /// Without the auditor, who never forgets.
    @Test func lockThatIsForgottenIsForgottenWhole() {
        var limits = Limits()
        limits.idleLocks = 0
        var table = LockTable(limits: limits, firstToken: 1, reservedThrough: 10_000)
        let now = MonotonicInstant(nanoseconds: 0)
        for id in [alice, bob] { _ = table.apply(.sessionOpened(id.session, user: .root), at: now) }
        _ = table.apply(.acquireRequested(AcquireRequest(alice, "db")), at: now)
        _ = table.apply(.revokeRequested(bob, "db", token: nil, reason: nil), at: now)
        let effects = table.apply(.acquireRequested(AcquireRequest(bob, "db")), at: now)
        #expect(effects == [.granted("db", to: bob, token: 2)])
    }
}
