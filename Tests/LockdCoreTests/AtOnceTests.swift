import LockdModel
import Testing

@testable import LockdCore

extension LockTable {
    /// What `event` has for effects if it goes the short way, as far as there is one.
    mutating func applyAtOnce(_ event: Event, at now: MonotonicInstant) -> [Effect] {
        effectAtOnce(of: event, at: now).map { [$0] } ?? apply(event, at: now)
    }

    /// What goes the short way, if it does.
    mutating func effectAtOnce(of event: Event, at now: MonotonicInstant) -> Effect? {
        switch event {
        case .acquireRequested(let request)
        where request.terms == AcquireTerms(name: request.names.first) && request.boundHolder == nil:
            withPlainName(request.names.first) { table, name in
                table.grantAtOnce(request.id, name, at: now).map {
                    .sendGranted(request.id, request.names, token: $0, timeToLive: nil, after: .unremarkable)
                }
            }
        case .releaseRequested(let id, let name, token: nil):
            withPlainName(name) { table, plainName in
                table.releaseAtOnce(id, plainName, at: now).map { .sendReleased(id, LockNames(name), token: $0) }
            }
        default: nil
        }
    }

    private mutating func withPlainName(_ name: LockName, _ body: (inout Self, PlainName) -> Effect?) -> Effect? {
        Array(name.spelling.utf8).withUnsafeBytes { bytes in PlainName(bytes).flatMap { body(&self, $0) } }
    }
}

/// The short way leads where the long one does; the simulation goes it too, at random.
@Suite struct AtOnceTests {
    private static let events: [Happening] = [.acquire, .acquireUnderTagW, .release]
    private static let possible = StateEventMatrixTests.Cell.all.filter { cell in
        events.contains(cell.happening) && cell.outcome != .stops
    }

    @Test(arguments: possible) func shortWayEndsWhereTheLongOneDoes(_ cell: StateEventMatrixTests.Cell) {
        let fixture = cell.situation.arrange()
        var (long, short) = (fixture.table, fixture.table)
        let effects = long.apply(cell.happening.event, at: fixture.now)
        #expect(short.applyAtOnce(cell.happening.event, at: fixture.now) == effects)
        #expect(short.totals == long.totals)
        #expect(short.allHistograms() == long.allHistograms())
        #expect(short.tokensLeft == long.tokensLeft)
        #expect(
            short.lines(of: "db", after: nil, lineLimit: 9, at: fixture.now).lines
                == long.lines(of: "db", after: nil, lineLimit: 9, at: fixture.now).lines
        )
        short.checkInvariants()
    }

    @Test func lockThatIsKnownAndFreeIsGrantedAtOnce() {
        let fixture = TableFixture()
        fixture.acquire("db", by: bob)
        fixture.release("db", by: bob)
        var table = fixture.table
        let event = Event.acquireRequested(AcquireRequest(alice.tagged("w"), "db"))
        #expect(table.effectAtOnce(of: event, at: fixture.now) == .granted("db", to: alice.tagged("w"), token: 2))
        let release = Event.releaseRequested(alice, "db", token: nil)
        #expect(table.effectAtOnce(of: release, at: fixture.now) == .released("db", to: alice, token: 2))
        table.checkInvariants()
    }

    @Test func lockThatIsNotKnownGoesTheLongWay() {
        let fixture = TableFixture()
        var table = fixture.table
        let event = Event.acquireRequested(AcquireRequest(alice, "db"))
        #expect(table.effectAtOnce(of: event, at: fixture.now) == nil)
    }

    @Test(arguments: ["a", "b"] as [LockName])
    func leaseOnSeveralNamesGoesTheLongWay(_ name: LockName) {
        let fixture = TableFixture()
        fixture.acquire("a b", by: alice)
        var table = fixture.table
        let release = Event.releaseRequested(alice, name, token: nil)
        #expect(table.effectAtOnce(of: release, at: fixture.now) == nil)
        table.checkInvariants()
        #expect(fixture.apply(release) == [.released("a b", to: alice, token: 1)])
    }

    @Test func freeNameInFrontOfWhichARequestWaitsForAnotherGoesTheLongWay() {
        let fixture = TableFixture()
        fixture.acquire("a", by: alice)
        fixture.acquire("a b", by: bob)
        var table = fixture.table
        let event = Event.acquireRequested(AcquireRequest(carol, "b"))
        #expect(table.effectAtOnce(of: event, at: fixture.now) == nil)
        #expect(table.effectAtOnce(of: .releaseRequested(alice, "a", token: nil), at: fixture.now) == nil)
        table.checkInvariants()
    }

    @Test func leasesOnSeveralNamesCountForRequestsThatGoTheShortWay() {
        let fixture = TableFixture { $0.leases = 2 }
        fixture.acquire("x", by: alice)
        fixture.release("x", by: alice)
        fixture.acquire("a b", by: alice)
        var table = fixture.table
        #expect(table.effectAtOnce(of: .acquireRequested(AcquireRequest(bob, "x")), at: fixture.now) == nil)
        #expect(fixture.acquire("x", by: bob) == [.refused(bob, .tooManyLeases(limit: 2))])
    }

    @Test func requestAtItsLimitGoesTheLongWay() {
        for change in [{ $0.leases = 1 }, { $0.leasesPerSession = 1 }] as [(inout Limits) -> Void] {
            let fixture = TableFixture(change)
            fixture.acquire("db", by: alice)
            fixture.release("db", by: alice)
            fixture.acquire("mail", by: alice)
            var table = fixture.table
            let event = Event.acquireRequested(AcquireRequest(alice, "db"))
            #expect(table.effectAtOnce(of: event, at: fixture.now) == nil)
            table.checkInvariants()
        }
    }

    @Test func sessionThatHasEndedHasNoShortWay() async {
        await #expect(processExitsWith: .failure) {
            let fixture = Situation.ended.arrange()
            var table = fixture.table
            _ = table.effectAtOnce(of: Happening.acquire.event, at: fixture.now)
        }
        await #expect(processExitsWith: .failure) {
            let fixture = Situation.ended.arrange()
            var table = fixture.table
            _ = table.effectAtOnce(of: Happening.release.event, at: fixture.now)
        }
    }
}
