import LockdModel
import Testing

@testable import LockdCore

@Suite struct ListingTests {
    @Test func showDescribesTheLeaseAndItsWaiters() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10), owner: "writer", note: "nightly")
        table.moveClock(.seconds(1))
        table.acquire("db", by: bob, wait: .after(.seconds(5)), ttl: .seconds(60), owner: "reader", note: "soon")
        table.acquire("db", by: carol)
        table.moveClock(.seconds(2))
        #expect(
            table.show("db") == [
                .lease(
                    LockTable.LeaseLine(
                        name: "db",
                        token: 1,
                        holderLimit: .exclusive,
                        session: alice.session,
                        held: .seconds(3),
                        timeToLive: .seconds(10),
                        left: .seconds(7),
                        owner: "writer",
                        note: "nightly",
                        nameCount: 1,
                        waiterCount: 2
                    )
                ),
                .waiter(
                    LockTable.WaiterLine(
                        name: "db",
                        position: 1,
                        holderLimit: .exclusive,
                        session: bob.session,
                        waited: .seconds(2),
                        left: .seconds(3),
                        timeToLive: .seconds(60),
                        owner: "reader",
                        note: "soon",
                        nameCount: 1
                    )
                ),
                .waiter(
                    LockTable.WaiterLine(
                        name: "db",
                        position: 2,
                        holderLimit: .exclusive,
                        session: carol.session,
                        waited: .seconds(2),
                        left: nil,
                        timeToLive: nil,
                        owner: nil,
                        note: nil,
                        nameCount: 1
                    )
                ),
            ]
        )
    }

    @Test func showDescribesALeaseWithoutTtl() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"))
        #expect(
            table.show("db") == [
                .lease(
                    LockTable.LeaseLine(
                        name: "db",
                        token: 1,
                        holderLimit: .exclusive,
                        session: alice.session,
                        held: .seconds(0),
                        timeToLive: nil,
                        left: nil,
                        owner: nil,
                        note: nil,
                        nameCount: 1,
                        waiterCount: 0
                    )
                )
            ]
        )
    }

    @Test func freeNameHasNoLines() {
        let table = TableFixture()
        #expect(table.show("db") == [])
        table.acquire("db", by: alice)
        table.release("db", by: alice)
        #expect(table.show("db") == [])
    }

    @Test func positionsAreThoseOfTheQueueOnEveryPage() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        for tag in ["1", "2", "3", "4"] as [Tag] { table.acquire("db", by: bob.tagged(tag)) }
        table.cancel("2", by: bob)
        let pages = table.showPages("db", lineLimit: 2)
        #expect(pages.map { $0.map(\.short) } == [["db 1", "db +1"], ["db +2", "db +3"]])
    }

    @Test(arguments: 1...5)
    func showGoesOnWhereThePageEnded(_ lineLimit: Int) {
        let table = TableFixture()
        table.acquire("db", by: alice)
        for tag in ["1", "2", "3"] as [Tag] { table.acquire("db", by: bob.tagged(tag)) }
        let pages = table.showPages("db", lineLimit: lineLimit)
        #expect(pages.joined().map(\.short) == ["db 1", "db +1", "db +2", "db +3"])
        #expect(pages.dropLast().allSatisfy { $0.count == lineLimit })
    }

    @Test func showLosesNobodyWhoIsGrantedMeanwhile() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.acquire("db", by: carol)
        let (first, next) = table.lines(of: "db", lineLimit: 1)
        table.release("db", by: alice)
        let (second, end) = table.lines(of: "db", after: next, lineLimit: 10)
        #expect(first.map(\.short) == ["db 1"])
        #expect(second.map(\.short) == ["db 2", "db +1"])
        #expect(end == nil)
    }

    @Test func showRepeatsNobodyWhoIsGrantedMeanwhile() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.acquire("db", by: carol)
        let (first, next) = table.lines(of: "db", lineLimit: 2)
        table.release("db", by: alice)
        let (second, _) = table.lines(of: "db", after: next, lineLimit: 10)
        #expect(first.map(\.short) == ["db 1", "db +1"])
        #expect(second.map(\.short) == ["db +1"])
    }

    @Test func listHasTheLinesOfEachLockTogether() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("b", by: alice)
        table.acquire("b", by: bob)
        table.acquire("a", by: carol)
        #expect(table.listPages().joined().map(\.short) == ["a 1", "a +1", "b 2", "b +1"])
    }

    @Test(arguments: 1...8)
    func listGoesOnWhereThePageEnded(_ lineLimit: Int) {
        let table = TableFixture()
        for name in ["a", "b", "c"] as [LockName] { table.acquire(LockNames(name), by: alice) }
        table.acquire("b", by: bob)
        table.acquire("b", by: carol)
        table.acquire("c", by: carol)
        let pages = table.listPages(lineLimit: lineLimit)
        #expect(pages.joined().map(\.short) == ["a 1", "b 2", "b +1", "b +2", "c 3", "c +1"])
        #expect(pages.allSatisfy { $0.count <= lineLimit })
    }

    @Test func listCanBeRestrictedToAPrefix() {
        let table = TableFixture()
        for name in ["jobs/1", "db", "jobs", "job", "jobs/2"] as [LockName] {
            table.acquire(LockNames(name), by: alice)
        }
        #expect(table.listPages(prefix: "jobs").joined().map(\.short) == ["jobs/1 1", "jobs 3", "jobs/2 5"])
        #expect(table.listPages(prefix: "jobs/").joined().map(\.short) == ["jobs/1 1", "jobs/2 5"])
        #expect(table.listPages(prefix: "mail").joined().map(\.short) == [])
        #expect(table.listPages(prefix: "jobs", lineLimit: 1).map(\.count) == [1, 1, 1])
    }

    @Test func listOfAnEmptyTableIsOneEmptyPage() {
        let table = TableFixture()
        #expect(table.listPages() == [[]])
    }

    @Test func pageLooksAtSoManyLocks() {
        let table = TableFixture { $0.locksPerPage = 2 }
        for name in ["a", "b", "c", "d", "x"] as [LockName] { table.acquire(LockNames(name), by: alice) }
        #expect(table.listPages().map { $0.map(\.short) } == [["a 1", "b 2"], ["c 3", "d 4"], ["x 5"]])
        #expect(table.listPages(prefix: "x").map { $0.map(\.short) } == [[], [], ["x 5"]])
    }

    /// What comes meanwhile is found or not, depending on whether it is put where the listing has been.
    @Test(arguments: zip([0, 10], [[], ["new 5"]]))
    func listFindsEverythingThatStaysWhileOthersComeAndGo(idleLocks: Int, more: [String]) {
        let table = TableFixture { $0.idleLocks = idleLocks }
        for name in ["a", "b", "c", "d"] as [LockName] { table.acquire(LockNames(name), by: alice) }
        table.acquire("c", by: bob)
        var lines: [String] = []
        var cursor: Cursor?
        for step in 0... {
            let (page, next) = table.lines(after: cursor, lineLimit: 1)
            lines += page.map(\.short)
            if step == 0 { table.release("a", by: alice) }
            if step == 1 { table.acquire("new", by: carol) }
            if step == 2 { table.release("c", by: alice) }
            cursor = next
            if next == nil { break }
        }
        #expect(lines == ["a 1", "b 2", "c 3", "c 6", "d 4"] + more)
    }

    @Test func cursorIntoALockThatIsGoneGoesOnBehindIt() {
        let table = TableFixture()
        for name in ["a", "b"] as [LockName] { table.acquire(LockNames(name), by: alice) }
        table.acquire("a", by: bob.tagged("1"))
        let (_, next) = table.lines(after: nil, lineLimit: 1)
        table.cancel("1", by: bob)
        table.release("a", by: alice)
        #expect(table.lines(after: next, lineLimit: 1).lines.map(\.short) == ["b 2"])
    }

    @Test(arguments: [
        Cursor(lock: 0, line: .max), Cursor(lock: 1, line: 0), Cursor(lock: .max, line: .max),
    ])
    func cursorBehindEverythingIsTheEnd(_ cursor: Cursor) {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        let (lines, next) = table.lines(after: cursor, lineLimit: 10)
        #expect(lines == [])
        #expect(next == nil)
    }

    @Test func leaseOnSeveralNamesIsListedWithEachOfThem() throws {
        let table = TableFixture()
        table.acquire("a b c", by: alice)
        table.acquire("c a", by: bob)
        table.acquire("c", by: carol)
        #expect(
            table.listPages().joined().map(\.short) == ["a 1", "a +1", "b 1", "c 1", "c +1", "c +2"]
        )
        #expect(table.show("a").map(\.nameCount) == [3, 2])
        #expect(table.show("b").map(\.nameCount) == [3])
        #expect(table.show("c").map(\.nameCount) == [3, 2, 1])
        #expect(table.lines(of: "c", lineLimit: 1).lines.map(\.nameCount) == [3])
    }

    @Test(arguments: 1...7)
    func pagesOfSeveralNamesGoOnWhereTheyEnded(_ lineLimit: Int) {
        let table = TableFixture()
        table.acquire("a b", by: alice)
        table.acquire("b a", by: bob, limit: .shared)
        table.acquire("b c", by: carol, limit: .shared)
        let lines = ["a 1", "a +1", "b 1", "b +1", "b +2", "c +1"]
        #expect(table.listPages(lineLimit: lineLimit).joined().map(\.short) == lines)
        #expect(table.showPages("b", lineLimit: lineLimit).joined().map(\.short) == ["b 1", "b +1", "b +2"])
        // They keep their places when they are granted.
        let (_, next) = table.lines(of: "b", lineLimit: 2)
        table.release("a", by: alice)
        #expect(table.lines(of: "b", after: next, lineLimit: 9).lines.map(\.short) == ["b 3"])
        #expect(table.listPages(lineLimit: lineLimit).joined().map(\.short) == ["a 2", "b 2", "b 3", "c 3"])
    }

    @Test func leaseOfAnEndedSessionIsNotListed() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.disconnect(alice)
        #expect(table.listPages().joined().map(\.short) == ["db +1"])
    }

    @Test func leaseThatIsDueIsListedUntilItIsWorkedOff() throws {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(1))
        table.moveClock(.seconds(2))
        guard case .lease(let line) = try #require(table.lines(after: nil, lineLimit: 10).lines.first) else {
            Issue.record("the lease is not listed")
            return
        }
        #expect(line.left == .seconds(0))
        table.passTime()
        #expect(table.lines(after: nil, lineLimit: 10).lines == [])
    }
}

extension LockTable.Line {
    /// The name and the token of a lease, or the name and the position of a waiter.
    fileprivate var short: String {
        switch self {
        case .lease(let line): "\(line.name) \(line.token)"
        case .waiter(let line): "\(line.name) +\(line.position)"
        }
    }

    fileprivate var nameCount: Int {
        switch self {
        case .lease(let line): line.nameCount
        case .waiter(let line): line.nameCount
        }
    }
}

extension TableFixture {
    fileprivate typealias Page = (lines: [LockTable.Line], next: Cursor?)

    fileprivate func lines(of name: LockName, after cursor: Cursor? = nil, lineLimit: Int) -> Page {
        inspect(name)
        return table.lines(of: name, after: cursor, lineLimit: lineLimit, at: now)
    }

    fileprivate func lines(after cursor: Cursor?, lineLimit: Int) -> Page {
        table.lines(withPrefix: nil, after: cursor, lineLimit: lineLimit, at: now)
    }

    fileprivate func showPages(_ name: LockName, lineLimit: Int) -> [[LockTable.Line]] {
        pages { lines(of: name, after: $0, lineLimit: lineLimit) }
    }

    fileprivate func listPages(prefix: LockName? = nil, lineLimit: Int = 500) -> [[LockTable.Line]] {
        pages { table.lines(withPrefix: prefix, after: $0, lineLimit: lineLimit, at: now) }
    }

    private func pages(_ page: (Cursor?) -> Page) -> [[LockTable.Line]] {
        var pages: [[LockTable.Line]] = []
        var cursor: Cursor?
        // More pages than there are lines is a cursor that does not move.
        while pages.count < 100 {
            let (lines, next) = page(cursor)
            pages.append(lines)
            guard let next else { break }
            cursor = next
        }
        return pages
    }
}
