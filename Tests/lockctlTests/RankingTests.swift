import LockdModel
import LockdWire
import Testing

@testable import lockctl

@Suite struct RankingTests {
    private func lease(_ name: String, held: Int64 = 0, waiters: Int = 0) throws -> Reply.ListingLine {
        let peer = Reply.Peer(session: nil, process: nil, user: nil, command: nil)
        return .lease(
            Reply.LeaseLine(
                name: try LockName(name),
                token: FencingToken(1),
                peer: peer,
                held: Milliseconds(held),
                waiterCount: waiters
            )
        )
    }

    private func waiter(_ name: String, waited: Int64 = 0) throws -> Reply.ListingLine {
        let peer = Reply.Peer(session: nil, process: nil, user: nil, command: nil)
        return .waiter(
            Reply.WaiterLine(name: try LockName(name), position: 1, peer: peer, waited: Milliseconds(waited))
        )
    }

    private func places(by order: Ranking.Order, _ lines: [Reply.ListingLine]) -> [Int] {
        var ranking = Ranking(by: order)
        for line in lines { ranking.add(line) }
        return ranking.places()
    }

    @Test func namesAreInTheOrderOfTheirBytes() throws {
        let common = "sixteen bytes or"
        let names = [common + " more", common, "", common + " ", "b", "a/b", "a", "é", common + " mere", "a0"]
        let lines = try names.map { try lease("x" + $0) }
        let sorted = places(by: .name, lines).map { lines[$0].name.spelling }
        #expect(sorted == lines.map(\.name.spelling).sorted())
    }

    @Test func linesOfOneLockStayAsTheyCame() throws {
        let long = String(repeating: "n", count: 40)
        #expect(
            places(by: .name, [try lease(long), try waiter(long), try lease("a"), try waiter(long)]) == [2, 0, 1, 3]
        )
    }

    @Test func longestIsFirstByTime() throws {
        #expect(
            places(by: .time, [try lease("c", held: 5), try waiter("b", waited: 9), try lease("a", held: 5)]) == [
                1, 0, 2,
            ]
        )
    }

    @Test func mostWaitedForIsFirstByWaiters() throws {
        let lines = [
            try waiter("a"), try lease("b"), try lease("c", waiters: 2), try lease("a", waiters: 1), try lease("a"),
            try waiter("a"),
        ]
        #expect(places(by: .waiters, lines) == [2, 3, 4, 1, 0, 5])
    }
}
