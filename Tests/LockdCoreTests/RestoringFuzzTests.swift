import Glibc
import LockdModel
import Testing

@testable import LockdCore

/// Whatever is left of a table, another one goes on from it.
///
/// `SEED=…` repeats one of the runs.
@Suite struct RestoringFuzzTests {
    private static let seeds = getenv("SEED").flatMap { UInt64(String(cString: $0)) }.map { [$0] } ?? Array(1...4)

    @Test(arguments: seeds) func anythingCanBeGoneOnFrom(_ seed: UInt64) {
        // Said beforehand, because a broken invariant stops the program.
        print("restoring anything, SEED=\(seed)")
        var days = RandomDays(random: SplitMix64(state: seed))
        for _ in 0..<300 { days.restoreAndLive() }
        // Neither is everything dropped nor nothing.
        #expect(days.keptCount > 300 && days.problemCount > 300)
    }
}

private struct RandomDays {
    var random: SplitMix64
    var keptCount = 0
    var problemCount = 0

    private static let names: [LockNames] = ["a", "b", "c", "a b", "b a", "c b a"]

    /// Makes a table of nonsense, lets something happen there, and ends everything.
    mutating func restoreAndLive() {
        var record = TableRecord()
        record.sessions = (0..<below(8)).map { _ in session() }
        record.claims = (0..<below(20)).map { _ in claim() }
        var problems: [String] = []
        var limits = Limits()
        if chance(300) { (limits.leases, limits.waiters, limits.leasesPerUser, limits.bytesPerUser) = (2, 2, 1, 2000) }
        if chance(300) { (limits.grantsPerTurn, limits.endingsPerTurn, limits.waitersPerSession) = (1, 1, 1) }
        var now = instant(isSane: true)
        var table = LockTable(
            limits: limits,
            firstToken: 12,
            reservedThrough: 1_000_000,
            restoring: record,
            downtime: (instant(isSane: chance(900)), now),
            problems: &problems
        )
        table.checkInvariants()
        keptCount += table.leaseCount + table.waiterCount
        problemCount += problems.count
        for _ in 0..<20 {
            now = now + Milliseconds(Int64(below(5000)))
            happen(&table, now)
        }
        endEverything(&table, now)
    }

    private mutating func happen(_ table: inout LockTable, _ now: MonotonicInstant) {
        let open = record(of: &table).sessions.filter { !$0.hasEnded && !$0.isBound }
        guard let session = open.randomElement(using: &random) else { return apply(.timePassed, &table, now) }
        let id = RequestID(session.id, tag: chance(800) ? Tag(UInt64(below(3))) : nil)
        let names = element(of: Self.names)
        switch below(7) {
        case 0: apply(.acquireRequested(AcquireRequest(id, names, wait: chance(500) ? .never : .none)), &table, now)
        case 1: apply(.releaseRequested(id, names.first, token: nil), &table, now)
        case 2: apply(.renewRequested(id, names.first, token: nil, timeToLive: .seconds(1)), &table, now)
        case 3: apply(.revokeRequested(id, names.first, token: nil, reason: nil), &table, now)
        case 4: apply(.progressDue, &table, now)
        case 5: _ = table.lines(withPrefix: nil, after: nil, lineLimit: 500, at: now)
        default: apply(.timePassed, &table, now)
        }
    }

    private mutating func endEverything(_ table: inout LockTable, _ now: MonotonicInstant) {
        for session in record(of: &table).sessions where !session.hasEnded {
            guard session.isBound else {
                apply(.inputEnded(session.id), &table, now)
                apply(.sessionEnded(session.id), &table, now)
                continue
            }
            if table.recordSlot(of: session.id) != nil { apply(.bindingEnded(session.id), &table, now) }
        }
        // What was bound while the sessions ended, too.
        for session in record(of: &table).sessions where session.isBound && !session.hasEnded {
            apply(.bindingEnded(session.id), &table, now)
        }
        for _ in 0..<100 where table.nextDeadline != nil { apply(.timePassed, &table, now) }
        #expect(table.leaseCount == 0 && table.waiterCount == 0 && table.userCount == 0)
    }

    private func apply(_ event: Event, _ table: inout LockTable, _ now: MonotonicInstant) {
        _ = table.apply(event, at: now)
        table.checkInvariants()
    }

    private func record(of table: inout LockTable) -> TableRecord {
        var record = TableRecord()
        for slot in 0..<100 {
            if let session = table.sessionRecord(in: slot) { record.sessions.append(session) }
        }
        return record
    }

    private mutating func session() -> SessionRecord {
        SessionRecord(
            id: SessionID(UInt64(below(6))),
            peer: Peer(process: 1, user: UserID(UInt32(below(3)))),
            endedAt: chance(100) ? instant(isSane: chance(900)) : nil,
            isBound: chance(200),
            detachedAt: chance(200) ? instant(isSane: chance(900)) : nil,
            resumedThrough: chance(200) ? arrival() : 0,
            payer: chance(100) ? UserID(UInt32(below(3))) : nil
        )
    }

    private mutating func claim() -> ClaimRecord {
        let session = SessionID(UInt64(below(6)))
        let asker = chance(900) ? session : SessionID(UInt64(below(6)))
        let since = instant(isSane: chance(980))
        return ClaimRecord(
            id: RequestID(asker, tag: chance(700) ? Tag(UInt64(below(3))) : nil),
            session: session,
            names: element(of: Self.names),
            holderLimit: element(of: [.exclusive, .shared, HolderLimit(2), HolderLimit(3)]),
            owner: chance(300) ? "x" : nil,
            holdsUpOwner: chance(300),
            note: chance(100) ? "note" : nil,
            arrival: arrival(),
            arrivedAt: since,
            token: chance(500) ? FencingToken(UInt64(below(13))) : nil,
            since: since,
            timeToLive: chance(300) ? length() : nil,
            deadline: chance(500) ? instant(isSane: chance(900)) : nil,
            progress: chance(200) ? length() : nil,
            boundHolder: chance(100)
                ? BoundHolder(session: SessionID(UInt64(below(9))), peer: Peer(process: 1, user: .root)) : nil
        )
    }

    private mutating func arrival() -> UInt64 {
        chance(950) ? UInt64(1 + below(30)) : element(of: [0, .max, 1 << 62, 1 << 63])
    }

    private mutating func length() -> Milliseconds {
        chance(900) ? Milliseconds(Int64(below(10_000))) : element(of: [.maximum, Milliseconds(.max)])
    }

    private mutating func instant(isSane: Bool) -> MonotonicInstant {
        if isSane { return MonotonicInstant(nanoseconds: Int64(below(100)) * 100_000_000) }
        return MonotonicInstant(nanoseconds: element(of: [.min, -1, .max, 1 << 62, .max - 1]))
    }

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }
    private mutating func chance(_ perThousand: Int) -> Bool { below(1000) < perThousand }
    private mutating func element<Element>(of elements: [Element]) -> Element { elements[below(elements.count)] }
}
