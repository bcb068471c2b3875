import LockdModel
import Testing

@testable import LockdCore

/// Requests that are sent again by a session that goes on.
@Suite struct ResumingTests {
    private static let tagged = alice.tagged("w")
    private static let holder = BoundHolder(session: SessionID(9), peer: Peer(process: 7, user: UserID(1000)))
    private static let otherHolder = BoundHolder(session: SessionID(10), peer: Peer(process: 7, user: UserID(1000)))

    private func resume(_ table: TableFixture) {
        table.detach(alice)
        table.attach(alice)
    }

    @Test func requestThatWaitsGoesOn() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.acquire("db", by: Self.tagged, wait: .after(.seconds(9)))
        table.acquire("db", by: carol)
        resume(table)
        #expect(table.acquire("db", by: Self.tagged, wait: .none) == [])
        #expect(table.waiterCount == 2)
        #expect(table.nextDeadline() == .seconds(9))
        #expect(table.release("db", by: bob).last == .granted("db", to: Self.tagged, token: 2))
    }

    @Test func requestThatWaitsIsToldAnewHowItGoes() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        let request = Event.acquireRequested(AcquireRequest(Self.tagged, "db", progress: .seconds(100)))
        table.apply(request)
        resume(table)
        table.apply(.progressDue)
        #expect(table.nextProgress == nil)
        #expect(table.apply(request) == [])
        #expect(table.nextProgress == table.now)
    }

    @Test func grantIsSaidAgain() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.acquire("db", by: Self.tagged, ttl: .seconds(50), owner: "x")
        table.revoke("db", by: bob)
        #expect(table.abandonments.count == 1)
        table.renew("db", by: alice, ttl: .seconds(70))
        resume(table)
        let again = table.acquire("db", by: Self.tagged, ttl: .seconds(50), owner: "x")
        #expect(again == [.granted("db", to: Self.tagged, token: 2, ttl: .seconds(70))])
        #expect(table.abandonments.isEmpty)
        #expect(table.leaseCount == 1 && table.totals.granted == 2)
        #expect(table.nextDeadline() == .seconds(70))
    }

    @Test func sameNamesAreSoInAnyOrder() {
        let table = TableFixture()
        table.acquire("a b", by: Self.tagged)
        resume(table)
        #expect(table.acquire("b a", by: Self.tagged) == [.granted("a b", to: Self.tagged, token: 1)])
        table.acquire("a", by: bob)
        // A part is another request.
        #expect(table.acquire("a", by: Self.tagged) == [])
    }

    @Test func requestWhoseLeaseIsOverIsANewOne() {
        let table = TableFixture()
        table.acquire("db", by: Self.tagged, ttl: .seconds(5))
        table.acquire("mail", by: alice.tagged("m"))
        table.release("mail", by: alice)
        resume(table)
        #expect(table.acquire("mail", by: alice.tagged("m")) == [.granted("mail", to: alice.tagged("m"), token: 3)])
        table.moveClock(.seconds(5))
        #expect(
            table.acquire("db", by: Self.tagged) == [
                .expired("db", of: alice, token: 1), .granted("db", to: Self.tagged, token: 4),
            ]
        )
    }

    @Test func otherNamesUnderATagThatWaitsAreRefused() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.acquire("db", by: Self.tagged)
        resume(table)
        #expect(table.acquire("mail", by: Self.tagged) == [.refused(Self.tagged, .tagInUse("w"))])
        #expect(table.acquire("db mail", by: Self.tagged) == [.refused(Self.tagged, .tagInUse("w"))])
    }

    @Test func whatWasAskedForSinceIsNotSentAgain() {
        let table = TableFixture()
        table.acquire("mail", by: bob)
        resume(table)
        table.acquire("db", by: Self.tagged)
        table.acquire("mail", by: alice.tagged("m"))
        #expect(table.acquire("mail", by: alice.tagged("m")) == [.refused(alice.tagged("m"), .tagInUse("m"))])
        #expect(table.acquire("db", by: Self.tagged, wait: .none) == [.busy("db", to: Self.tagged, holder: alice)])
        // Unless it is resumed once more; it need not have been detached.
        table.attach(alice)
        #expect(table.acquire("mail", by: alice.tagged("m")) == [])
        #expect(table.acquire("db", by: Self.tagged) == [.granted("db", to: Self.tagged, token: 2)])
    }

    @Test func sessionThatWasNotResumedSendsNothingAgain() {
        let table = TableFixture()
        table.acquire("db", by: Self.tagged)
        #expect(table.acquire("db", by: Self.tagged) == [])
        #expect(table.waiterCount == 1)
    }

    @Test func requestOfAnotherSessionUnderTheSameTagIsItsOwn() {
        let table = TableFixture()
        table.acquire("db", by: Self.tagged)
        resume(table)
        table.attach(bob)
        #expect(
            table.acquire("db", by: bob.tagged("w"), wait: .none) == [.busy("db", to: bob.tagged("w"), holder: alice)]
        )
    }

    @Test func requestWithoutATagIsANewOne() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        resume(table)
        #expect(table.acquire("db", by: alice) == [.held("db", by: alice, token: 1)])
    }

    @Test func boundLeaseIsSaidAgainAndTheSecondBindingIsGivenUp() {
        let table = TableFixture()
        table.apply(.acquireRequested(AcquireRequest(Self.tagged, "db", boundHolder: Self.holder)))
        resume(table)
        let again = AcquireRequest(Self.tagged, "db", boundHolder: Self.otherHolder)
        #expect(
            table.apply(.acquireRequested(again)) == [
                .granted("db", to: Self.tagged, token: 1), .unbind(SessionID(10)),
            ]
        )
        // The first one is what it is bound to.
        table.apply(.bindingEnded(SessionID(9)))
        #expect(table.passTime() == [.unbind(SessionID(9))])
        #expect(table.apply(.acquireRequested(again)) == [.granted("db", to: Self.tagged, token: 2)])
    }

    @Test func waitForABoundLeaseGoesOnAndTheSecondBindingIsGivenUp() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.apply(.acquireRequested(AcquireRequest(Self.tagged, "db", boundHolder: Self.holder)))
        resume(table)
        let again = AcquireRequest(Self.tagged, "db", boundHolder: Self.otherHolder)
        #expect(table.apply(.acquireRequested(again)) == [.unbind(SessionID(10))])
        table.release("db", by: bob)
        #expect(table.release("db", by: alice, token: 2).last == .unbind(SessionID(9)))
    }

    @Test func whatIsDueIsSaidOnce() {
        let table = TableFixture()
        table.acquire("db", by: bob, ttl: .seconds(5))
        table.acquire("db", by: Self.tagged)
        resume(table)
        table.moveClock(.seconds(5))
        let effects = table.acquire("db", by: Self.tagged)
        #expect(effects == [.expired("db", of: bob, token: 1), .granted("db", to: Self.tagged, token: 2)])
    }

    @Test func waitThatIsOverIsNotBegunAnewByWhoHasNotHeardOfIt() {
        let table = TableFixture()
        table.acquire("db", by: bob)
        table.acquire("db", by: Self.tagged, wait: .after(.seconds(5)))
        resume(table)
        table.moveClock(.seconds(5))
        let timeout = Effect.timedOut("db", to: Self.tagged, waited: .seconds(5), holder: bob, held: .seconds(5))
        #expect(table.acquire("db", by: Self.tagged) == [timeout])
        #expect(table.waiterCount == 0)
    }

    @Test func ofSeveralLeasesUnderATagTheLastIsMeant() {
        let table = TableFixture()
        table.acquire("db", by: Self.tagged, limit: .shared)
        table.acquire("db", by: Self.tagged, limit: .shared)
        table.acquire("mail", by: Self.tagged)
        resume(table)
        #expect(table.acquire("db", by: Self.tagged, limit: .shared) == [.granted("db", to: Self.tagged, token: 2)])
    }

    @Test func whatWasSentBeforeIsKnownToTheNextTable() throws {
        let fixture = TableFixture()
        fixture.acquire("db", by: Self.tagged)
        resume(fixture)
        fixture.acquire("mail", by: alice.tagged("m"))
        var table = fixture.table
        var mirror = Mirror()
        table.keepsChanges = true
        mirror.update(from: &table)
        let downtime = Downtime(from: fixture.now, to: fixture.now)
        var restored = try mirror.restore(&table, downtime, reservedThrough: 1_000_000, detached: [])
        _ = restored.apply(.tokensReserved(through: 2_000_000), at: fixture.now)
        let db = Event.acquireRequested(AcquireRequest(Self.tagged, "db"))
        #expect(restored.apply(db, at: fixture.now) == [.granted("db", to: Self.tagged, token: 1)])
        let mail = Event.acquireRequested(AcquireRequest(alice.tagged("m"), "mail"))
        #expect(restored.apply(mail, at: fixture.now) == [])
    }
}
