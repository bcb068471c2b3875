import LockdModel
import Testing

@testable import LockdCore

/// Requests that would wait for ever.
@Suite struct DeadlockTests {
    private let table = TableFixture()

    @Test func twoWhoWouldWaitForEachOther() {
        table.acquire("a", by: alice)
        table.acquire("b", by: bob)
        #expect(table.acquire("b", by: alice).isEmpty)
        table.moveClock(.seconds(3))
        let deadlock = table.acquire("a", by: bob)
        #expect(
            deadlock == [
                .sendDeadlock(
                    bob,
                    "a",
                    [
                        edge("a", bob, alice, token: 1, since: .seconds(3)),
                        edge("b", alice, bob, token: 2, since: .seconds(3)),
                    ]
                )
            ]
        )
        #expect(table.totals.deadlocks == 1)
    }

    @Test func whoIsRefusedKeepsItsLeasesAndTheOthersWaitOn() {
        table.acquire("a", by: alice)
        table.acquire("b", by: bob)
        table.acquire("b", by: alice)
        table.acquire("a", by: bob)
        #expect(table.waiterCount == 1)
        #expect(table.release("b", by: bob) == [.released("b", to: bob, token: 2), .granted("b", to: alice, token: 3)])
    }

    @Test(arguments: [2, 3, 4, 10, 100])
    func cycleOfAnyLength(_ length: Int) {
        let table = TableFixture()
        let ring = makeRing(length, in: table)
        for index in 0..<length - 1 { #expect(table.acquire(names(index + 1), by: ring[index]).isEmpty) }
        let last = table.acquire(names(0), by: ring[length - 1])
        #expect(edges(of: last).map(\.name) == (0..<length).map { name($0) })
        #expect(edges(of: last).map(\.holder.session) == ring.map(\.session))
        // One link less is a chain that works itself off.
        table.release(name(length - 1), by: ring[length - 1])
        #expect(table.acquire(names(0), by: ring[length - 1]).isEmpty)
    }

    @Test(arguments: [2, 3, 10, 100])
    func cycleOverSharedAndCountedNames(_ length: Int) {
        let table = TableFixture()
        let ring = makeRing(length, in: table, limit: .shared)
        for index in 0..<length - 1 {
            let limit: HolderLimit = index.isMultiple(of: 2) ? .exclusive : HolderLimit(1)
            #expect(table.acquire(names(index + 1), by: ring[index], limit: limit).isEmpty)
        }
        #expect(edges(of: table.acquire(names(0), by: ring[length - 1])).count == length)
    }

    @Test(arguments: [2, 3, 10, 100])
    func cycleOverSets(_ length: Int) throws {
        let table = TableFixture()
        let ring = makeRing(length, in: table)
        for index in 0..<length - 1 {
            let names = try #require(LockNames(LockName(stringLiteral: "free/\(index)"), [name(index + 1)]))
            #expect(table.acquire(names, by: ring[index]).isEmpty)
        }
        #expect(!edges(of: table.acquire(names(0), by: ring[length - 1])).isEmpty)
    }

    @Test func requestsThatNameNoOwnerStandForThemselves() {
        table.acquire("a", by: alice.tagged("1"))
        table.acquire("b", by: bob.tagged("1"))
        #expect(table.acquire("b", by: alice.tagged("2")).isEmpty)
        #expect(table.acquire("a", by: bob.tagged("2")).isEmpty)
        #expect(table.waiterCount == 2)
    }

    @Test func ownersOfOneSessionAreSeenThrough() {
        table.acquire("a", by: alice.tagged("1"), owner: "reader")
        table.acquire("b", by: alice.tagged("2"), owner: "writer")
        #expect(table.acquire("b", by: alice.tagged("3"), owner: "reader").isEmpty)
        let deadlock = table.acquire("a", by: alice.tagged("4"), owner: "writer")
        #expect(edges(of: deadlock).map(\.waiter.owner) == ["writer", "reader"])
        // Somebody else of the session only waits.
        #expect(table.acquire("a", by: alice.tagged("4"), owner: "sweeper").isEmpty)
    }

    @Test func untaggedRequestHoldsUpAllLeasesOfItsSession() {
        table.acquire("a", by: alice.tagged("1"), owner: "reader")
        table.acquire("b", by: bob)
        #expect(table.acquire("a", by: bob).isEmpty)
        #expect(edges(of: table.acquire("b", by: alice)).map(\.name) == ["b", "a"])
        #expect(table.acquire("b", by: alice.tagged("2"), owner: "writer").isEmpty)
    }

    @Test func untaggedRequestBehindALeaseOfItsOwnSessionWouldWaitForItself() {
        table.acquire("a", by: alice.tagged("1"))
        #expect(table.acquire("a", by: alice) == [.sendDeadlock(alice, "a", [edge("a", alice, alice, token: 1)])])
    }

    @Test func oneOfSeveralHoldersWhoCanGoOnIsEnough() {
        table.acquire("pool", by: alice, limit: HolderLimit(2))
        table.acquire("pool", by: carol, limit: HolderLimit(2))
        table.acquire("b", by: bob)
        #expect(table.acquire("b", by: alice).isEmpty)
        #expect(table.acquire("pool", by: bob, limit: HolderLimit(2)).isEmpty)
    }

    @Test func severalHoldersOfWhomNobodyCanGoOn() {
        table.acquire("pool", by: alice, limit: HolderLimit(2))
        table.acquire("pool", by: carol, limit: HolderLimit(2))
        table.acquire("b", by: bob)
        #expect(table.acquire("b", by: alice).isEmpty)
        #expect(table.acquire("b", by: carol).isEmpty)
        let found = edges(of: table.acquire("pool", by: bob, limit: HolderLimit(2)))
        #expect(found.map(\.name) == ["pool", "pool", "b", "b"])
        #expect(found.map(\.holder.session) == [alice.session, carol.session, bob.session, bob.session])
    }

    @Test func whoIsAheadInTheQueueIsWaitedFor() {
        // Carol waits for both names and heads the queue of b, which nobody holds.
        table.acquire("a", by: alice)
        #expect(table.acquire("a b", by: carol).isEmpty)
        let found = edges(of: table.acquire("b", by: alice))
        #expect(found == [edge("b", alice, carol), edge("a", carol, alice, token: 1)])
    }

    @Test func readerBehindAWriterThatWaitsForAnotherReader() {
        table.acquire("a", by: alice.tagged("1"), limit: .shared, owner: "one")
        table.acquire("b", by: alice.tagged("2"), owner: "two")
        table.acquire("a", by: bob)
        #expect(table.acquire("a", by: alice.tagged("3"), limit: .shared, owner: "two").isEmpty)
        let found = edges(of: table.acquire("b", by: alice.tagged("4"), owner: "one"))
        #expect(found.map(\.name) == ["b", "a", "a"])
        #expect(found.map(\.holder.session) == [alice.session, bob.session, alice.session])
    }

    @Test func timeIsNotCountedOn() {
        table.acquire("a", by: alice, ttl: .seconds(1))
        table.acquire("b", by: bob, ttl: .seconds(1))
        #expect(table.acquire("b", by: alice, wait: .after(.seconds(1))).isEmpty)
        #expect(edges(of: table.acquire("a", by: bob, wait: .after(.seconds(1)))).count == 2)
    }

    @Test func whoOnlyTriesIsBusy() {
        table.acquire("a", by: alice)
        table.acquire("b", by: bob)
        table.acquire("b", by: alice)
        #expect(table.acquire("a", by: bob, wait: .none) == [.busy("a", to: bob, holder: alice)])
    }

    @Test func searchIsBounded() {
        let table = TableFixture { $0.deadlockSearch = 3 }
        let ring = makeRing(10, in: table)
        for index in 0..<9 { #expect(table.acquire(names(index + 1), by: ring[index]).isEmpty) }
        #expect(table.acquire(names(0), by: ring[9]).isEmpty)
        #expect(table.searchCost > 3)
    }

    @Test func reportIsBounded() {
        let table = TableFixture { $0.deadlockEdges = 4 }
        let ring = makeRing(10, in: table)
        for index in 0..<9 { table.acquire(names(index + 1), by: ring[index]) }
        #expect(edges(of: table.acquire(names(0), by: ring[9])).count == 4)
    }

    @Test func nobodyIsLookedAtWhereNobodyWaits() {
        table.acquire("outer", by: alice)
        table.acquire("inner", by: bob)
        #expect(table.acquire("inner", by: alice).isEmpty)
        #expect(table.searchCost <= 1)
    }

    @Test func longQueueOfOthersIsNoCycle() {
        table.acquire("outer", by: alice)
        table.acquire("inner", by: bob)
        table.acquire("outer", by: carol)
        for number in 0..<100 { table.acquire("inner", by: bob.tagged(Tag(UInt64(number)))) }
        #expect(table.acquire("inner", by: alice).isEmpty)
        #expect(table.searchCost < 250)
    }

    private func name(_ index: Int) -> LockName { LockName(stringLiteral: "ring/\(index)") }

    private func names(_ index: Int) -> LockNames { LockNames(name(index)) }

    /// Sessions of which each holds a name.
    private func makeRing(_ length: Int, in table: TableFixture, limit: HolderLimit = .exclusive) -> [RequestID] {
        (0..<length).map { index in
            let id = RequestID(SessionID(100 + UInt64(index)))
            table.open(id, user: UserID(1000))
            table.acquire(LockNames(name(index)), by: id, limit: limit)
            return id
        }
    }

    private func edges(of effects: [Effect]) -> [DeadlockEdge] {
        if case .sendDeadlock(_, _, let edges) = effects.first { edges } else { [] }
    }

    private func edge(
        _ name: LockName,
        _ waiter: RequestID,
        _ holder: RequestID,
        token: FencingToken? = nil,
        since: Milliseconds = .seconds(0)
    ) -> DeadlockEdge {
        DeadlockEdge(
            name: name,
            waiter: .init(waiter.session, owner: nil),
            holder: .init(holder.session, owner: nil),
            token: token,
            since: since
        )
    }
}

/// How much a search looks at.
@Suite struct SearchCostTests {
    /// Each of many owners waits for a name, is granted it in the play, and lets go of its share of `a` then.
    ///
    /// At the head of the queue of `a` is a request for `a` and `b`, which is looked at each time, together with the many different limits of those
    /// who hold `b`.
    @Test func limitsOfOtherNamesAreCounted() {
        let table = TableFixture()
        let (waits, limits) = (30, 200)
        table.open(dave, user: UserID(1000))
        for number in 0..<waits {
            let owner = Text(stringLiteral: "o\(number)")
            table.acquire(names(number), by: carol.tagged(Tag(stringLiteral: "x\(number)")))
            table.acquire("a", by: bob.tagged(Tag(stringLiteral: "a\(number)")), limit: HolderLimit(1000), owner: owner)
            table.acquire(names(number), by: bob.tagged(Tag(stringLiteral: "w\(number)")), owner: owner)
        }
        // Alice will hold up all of these.
        for number in 0..<limits {
            let tag = Tag(stringLiteral: "b\(number)")
            table.acquire("b", by: alice.tagged(tag), limit: HolderLimit(1000 + number))
        }
        table.acquire("a b", by: dave, limit: HolderLimit(100))
        #expect(table.acquire("a", by: alice).count == 1)
        #expect(table.searchCost > waits * limits)
    }

    private func names(_ number: Int) -> LockNames { LockNames(LockName(stringLiteral: "n\(number)")) }
}
