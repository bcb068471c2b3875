import LockdModel
import Testing

@testable import LockdCore

/// The last leases of a name that have ended are remembered, so many and no more.
@Suite struct HistoryTests {
    @Test func holdTellsHowItWas() throws {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.moveClock(.seconds(1))
        table.acquire("db", by: bob.tagged("1"), note: "nightly")
        table.moveClock(.seconds(2))
        table.release("db", by: alice)
        table.moveClock(.seconds(4))
        table.release("db", by: bob)
        let holds = table.table.holds(of: "db")
        #expect(holds.map(\.token) == [2, 1])
        let hold = try #require(holds.first)
        #expect(hold.outcome == .released)
        #expect(hold.session == bob.session)
        #expect(hold.peer == Peer(process: ProcessID(Int32(bob.session.value)), user: UserID(1000), command: "worker"))
        #expect(hold.waited == .seconds(2))
        #expect(hold.held == .seconds(4))
        #expect(hold.endedAt == table.now)
        #expect(hold.note == "nightly")
        #expect(holds.last?.waited == .seconds(0))
        #expect(holds.last?.held == .seconds(3))
        #expect(holds.last?.note == nil)
    }

    @Test func everyWayToEndIsRemembered() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.release("db", by: alice)
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.advance(.seconds(3))
        table.acquire("db", by: alice)
        table.revoke("db", by: bob)
        table.acquire("db", by: alice)
        table.disconnect(alice)
        table.passTime()
        let holds = table.table.holds(of: "db")
        #expect(holds.map(\.outcome) == [.ended, .revoked, .expired, .released])
        // It ended when it ran out, not when that was noticed.
        #expect(holds[2].held == .seconds(1))
    }

    @Test func nameThatNobodyHadHasNoHistory() {
        let table = TableFixture()
        #expect(table.table.holds(of: "db") == [])
        table.acquire("db", by: alice)
        #expect(table.table.holds(of: "db") == [])
    }

    @Test func leaseOnSeveralNamesIsRememberedOfEach() {
        let table = TableFixture()
        table.acquire("a b c", by: alice, note: "move")
        table.release("b", by: alice)
        for name in ["a", "b", "c"] as [LockName] {
            #expect(table.table.holds(of: name).map(\.token) == [1])
            #expect(table.table.holds(of: name).map(\.note) == ["move"])
        }
    }

    @Test func oldestOfAFullRingIsReplaced() {
        let table = TableFixture()
        for count in 1...40 as ClosedRange<UInt64> {
            table.acquire("db", by: alice)
            table.release("db", by: alice)
            let last = max(1, Int64(count) - 15)
            let tokens = (UInt64(last)...count).reversed().map { FencingToken($0) }
            #expect(table.table.holds(of: "db").map(\.token) == tokens)
        }
        #expect(table.table.history.holds.count == 16)
    }

    @Test func nextLeaseInAPlaceLeavesNothingOfTheOneBefore() {
        let table = TableFixture { $0.holdsPerName = 1 }
        table.acquire("db", by: alice, note: "one")
        table.release("db", by: alice)
        table.acquire("db", by: alice)
        table.release("db", by: alice)
        #expect(table.table.holds(of: "db").map(\.note) == [nil])
        table.acquire("db", by: alice, note: "two")
        table.release("db", by: alice)
        table.acquire("db", by: carol)
        table.release("db", by: carol)
        #expect(table.table.holds(of: "db").map(\.peer.user) == [UserID(1001)])
        #expect(table.table.holds(of: "db").map(\.note) == [nil])
        #expect(table.table.history.textByteCount == "worker".utf8.count)
    }

    @Test func historyIsForgottenWithTheLock() {
        let table = TableFixture { $0.idleLocks = 1 }
        pass("a", in: table)
        pass("b", in: table)
        #expect(table.table.holds(of: "a") == [])
        #expect(table.table.holds(of: "b").count == 1)
        #expect(table.table.history.rings.count == 1)
        // The ring that came free is used again, and shows nothing of the lock before.
        pass("c", in: table)
        #expect(table.table.holds(of: "c").map(\.token) == [3])
        #expect(table.table.history.holds.count == 32)
    }

    @Test func nameWithoutEndsForLongIsGivenUpFirst() {
        let table = TableFixture { ($0.holdsPerName, $0.holds) = (2, 6) }
        for name in ["a", "b", "c"] as [LockName] { pass(name, in: table) }
        pass("a", in: table)
        pass("d", in: table)
        #expect(namesWithHistory(table) == ["a", "c", "d"])
        #expect(table.table.holds(of: "a").map(\.token) == [4, 1])
        pass("c", in: table)
        pass("b", in: table)
        #expect(namesWithHistory(table) == ["b", "c", "d"])
    }

    @Test func textsAreBounded() {
        let command = "worker".utf8.count
        let table = TableFixture { $0.holdTextBytes = 3 * (command + 4) }
        for name in ["a", "b", "c"] as [LockName] { pass(name, note: "four", in: table) }
        #expect(namesWithHistory(table) == ["a", "b", "c"])
        pass("d", note: "f", in: table)
        #expect(namesWithHistory(table) == ["b", "c", "d"])
        #expect(table.table.history.textByteCount <= table.limits.holdTextBytes)
        pass("d", note: "much more than that, more than everything together may be", in: table)
        #expect(namesWithHistory(table) == ["d"])
    }

    @Test func historyThatIsBeingWrittenIsNotGivenUp() {
        let table = TableFixture { $0.holdTextBytes = 30 }
        pass("a", in: table)
        pass("a", in: table)
        pass("b", note: "as long as may be", in: table)
        // "a" was used since it was looked at, and still it is the one that has to go.
        #expect(namesWithHistory(table) == ["b"])
    }

    @Test func escapesCountAsTheyAreSpelled() throws {
        let table = TableFixture()
        let note = try Text(bytes: [0, 0, 0], limit: 3)
        pass("a", note: note, in: table)
        #expect(table.table.history.textByteCount == "worker%00%00%00".utf8.count)
    }

    @Test func shortWayRemembersLikeTheLongOne() {
        let fixture = TableFixture()
        pass("db", note: "before", in: fixture)
        var (long, short) = (fixture.table, fixture.table)
        for event in [
            .acquireRequested(AcquireRequest(bob, "db")), .releaseRequested(bob, "db", token: nil),
            .acquireRequested(AcquireRequest(carol, "db")), .releaseRequested(carol, "db", token: nil),
        ] as [Event] {
            fixture.moveClock(.seconds(1))
            _ = long.apply(event, at: fixture.now)
            #expect(short.effectAtOnce(of: event, at: fixture.now) != nil)
        }
        #expect(short.holds(of: "db") == long.holds(of: "db"))
        #expect(short.holds(of: "db").map(\.held) == [.seconds(1), .seconds(1), .seconds(0)])
        short.checkInvariants()
    }

    @Test func whatEndedLastComesFirst() {
        // More is due than one event ends, on names that are tied: what is worked off late is told where it belongs.
        let table = TableFixture { ($0.endingsPerTurn, $0.waitersPerSession) = (1, 1) }
        for name in ["a", "b", "c"] as [LockName] { table.acquire(LockNames(name), by: alice, ttl: .seconds(1)) }
        table.acquire("db other", by: bob, limit: .shared, ttl: .seconds(2))
        table.acquire("db", by: carol, limit: .shared)
        table.moveClock(.seconds(3))
        table.release("db", by: carol)
        while table.nextInstant().map({ $0 <= table.now }) == true { table.passTime() }
        let holds = table.table.holds(of: "db")
        #expect(holds.map(\.outcome) == [.released, .expired])
    }

    private func pass(_ name: LockName, note: Text? = nil, in table: TableFixture) {
        table.acquire(LockNames(name), by: alice, note: note)
        table.release(name, by: alice)
    }

    private func namesWithHistory(_ table: TableFixture) -> [LockName] {
        (["a", "b", "c", "d"] as [LockName]).filter { !table.table.holds(of: $0).isEmpty }
    }
}
