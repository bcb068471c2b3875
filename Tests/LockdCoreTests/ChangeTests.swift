import LockdModel
import Testing

@testable import LockdCore

/// What a table says of its changes.
@Suite struct ChangeTests {
    /// The records of all that has changed since the last call, claims by their names and sessions by their numbers; of what has gone, how much.
    private struct Changes: Equatable {
        var claims: [LockNames: ClaimRecord] = [:]
        var sessions: [SessionID] = []
        var gone = 0

        init(_ table: inout LockTable) {
            var (claims, sessions): ([Int], [Int]) = ([], [])
            table.takeChanges(claims: &claims, sessions: &sessions)
            for record in claims.map({ table.claimRecord(in: $0) }) {
                if let record { self.claims[record.names] = record } else { gone += 1 }
            }
            for record in sessions.map({ table.sessionRecord(in: $0) }) {
                if let record { self.sessions.append(record.id) } else { gone += 1 }
            }
            self.sessions.sort()
        }
    }

    private func observedTable(_ table: TableFixture = TableFixture()) -> LockTable {
        var observed = table.table
        observed.keepsChanges = true
        _ = Changes(&observed)
        return observed
    }

    @Test func nothingIsKeptUnlessAskedFor() {
        let fixture = TableFixture()
        fixture.acquire("db", by: alice)
        var table = fixture.table
        let changes = Changes(&table)
        #expect(changes.claims.isEmpty && changes.sessions.isEmpty && changes.gone == 0)
    }

    @Test func everythingHasChangedWhenItIsAskedForFirst() {
        let fixture = TableFixture()
        fixture.acquire("db", by: alice)
        var table = fixture.table
        table.keepsChanges = true
        var changes = Changes(&table)
        #expect(Array(changes.claims.keys) == ["db"])
        #expect(changes.sessions == [alice.session, bob.session, carol.session])
        table.keepsChanges = false
        table.keepsChanges = true
        changes = Changes(&table)
        #expect(Array(changes.claims.keys) == ["db"])
    }

    @Test func grantAndReleaseAreChanges() {
        let fixture = TableFixture()
        var table = observedTable(fixture)
        let request = Event.acquireRequested(AcquireRequest(alice, "db", timeToLive: .seconds(5), note: "why"))
        _ = table.apply(request, at: fixture.now)
        let lease = Changes(&table).claims["db"]
        #expect(
            lease
                == ClaimRecord(
                    id: alice,
                    session: alice.session,
                    names: "db",
                    note: "why",
                    arrival: 1,
                    arrivedAt: fixture.now,
                    token: 1,
                    since: fixture.now,
                    timeToLive: .seconds(5),
                    deadline: fixture.now + .seconds(5)
                )
        )
        _ = table.apply(.releaseRequested(alice, "db", token: nil), at: fixture.now)
        #expect(Changes(&table).gone == 1)
        #expect(Changes(&table).gone == 0)
    }

    @Test func theShortWayIsAsManyChanges() {
        let fixture = TableFixture()
        fixture.acquire("db", by: bob)
        fixture.release("db", by: bob)
        var table = observedTable(fixture)
        _ = table.effectAtOnce(of: .acquireRequested(AcquireRequest(alice, "db")), at: fixture.now)
        #expect(Changes(&table).claims["db"]?.token == 2)
        _ = table.effectAtOnce(of: .releaseRequested(alice, "db", token: nil), at: fixture.now)
        #expect(Changes(&table).gone == 1)
    }

    @Test func whatComesAndGoesBetweenTwoCallsIsOneChange() {
        let fixture = TableFixture()
        var table = observedTable(fixture)
        for _ in 1...3 {
            _ = table.apply(.acquireRequested(AcquireRequest(alice, "db")), at: fixture.now)
            _ = table.apply(.releaseRequested(alice, "db", token: nil), at: fixture.now)
        }
        #expect(Changes(&table).gone == 1)
    }

    @Test func renewalIsAChange() {
        let fixture = TableFixture()
        fixture.acquire("db", by: alice, ttl: .seconds(5))
        var table = observedTable(fixture)
        _ = table.apply(.renewRequested(alice, "db", token: nil, timeToLive: .seconds(9)), at: fixture.now)
        #expect(Changes(&table).claims["db"]?.deadline == fixture.now + .seconds(9))
    }

    @Test func waitThatBecomesABoundLeaseIsAChangeAndANewSession() {
        let fixture = TableFixture()
        fixture.acquire("db", by: bob)
        var table = observedTable(fixture)
        let holder = BoundHolder(session: SessionID(9), peer: Peer(process: 7, user: UserID(1001)))
        let request = AcquireRequest(alice, "db", wait: .never, progress: .seconds(1), boundHolder: holder)
        _ = table.apply(.acquireRequested(request), at: fixture.now)
        let wait = Changes(&table).claims["db"]
        #expect(wait?.boundHolder == holder && wait?.progress == .seconds(1) && wait?.session == alice.session)
        _ = table.apply(.releaseRequested(bob, "db", token: nil), at: fixture.now)
        let changes = Changes(&table)
        #expect(changes.claims["db"]?.session == SessionID(9))
        #expect(changes.claims["db"]?.id == alice)
        #expect(changes.claims["db"]?.boundHolder == nil && changes.claims["db"]?.progress == nil)
        #expect(changes.sessions == [SessionID(9)])
        let slot = table.recordSlot(of: SessionID(9))
        let record = slot.flatMap { table.sessionRecord(in: $0) }
        // Alice's user has asked for it.
        #expect(record == SessionRecord(id: SessionID(9), peer: holder.peer, isBound: true, payer: UserID(1000)))
    }

    @Test func ownerThatGoesOnIsAChangeOfItsOtherWait() {
        let fixture = TableFixture()
        fixture.acquire("db mail", by: bob)
        fixture.acquire("db", by: alice.tagged("1"), owner: "x")
        var table = observedTable(fixture)
        #expect(table.claimRecord(in: 1)?.holdsUpOwner == true)
        _ = table.apply(.acquireRequested(AcquireRequest(alice.tagged("2"), "mail", owner: "x")), at: fixture.now)
        let changes = Changes(&table)
        #expect(Set(changes.claims.keys) == ["db", "mail"])
        #expect(changes.claims.values.allSatisfy { !$0.holdsUpOwner })
    }

    @Test func sessionThatEndsIsAChangeAndItsLeasesAreAsTheyEnd() {
        let fixture = TableFixture()
        fixture.acquire("db", by: alice)
        var table = observedTable(fixture)
        _ = table.apply(.inputEnded(alice.session), at: fixture.now)
        #expect(Changes(&table).sessions.isEmpty)
        _ = table.apply(.sessionEnded(alice.session), at: fixture.now)
        #expect(Changes(&table).sessions == [alice.session])
        #expect(table.sessionRecord(in: 0)?.endedAt == fixture.now)
        _ = table.apply(.timePassed, at: fixture.now)
        // The lease and the session.
        #expect(Changes(&table).gone == 2)
        #expect(table.recordSlot(of: alice.session) == nil)
    }

    @Test func sessionsChangeAlsoInWaysThatTheTableDoesNotKnow() {
        var table = observedTable()
        table.noteChange(of: bob.session)
        table.noteChange(of: bob.session)
        table.noteChange(of: SessionID(77))
        #expect(Changes(&table).sessions == [bob.session])
    }
}
