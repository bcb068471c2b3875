import LockdCore
import LockdModel
import Testing

@Suite struct QueueTests {
    @Test func waitersAreGrantedInOrderOfArrival() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: carol)
        table.acquire("db", by: bob)

        #expect(table.release("db", by: alice).last == .granted("db", to: carol, token: 2))
        #expect(table.release("db", by: carol).last == .granted("db", to: bob, token: 3))
        #expect(table.release("db", by: bob) == [.released("db", to: bob, token: 3)])
    }

    @Test func nothingOvertakesNotEvenATry() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        #expect(
            table.acquire("db", by: carol, wait: .none) == [.busy("db", to: carol, holder: alice, waiters: 1)]
        )
        #expect(table.release("db", by: alice).last == .granted("db", to: bob, token: 2))
    }

    @Test func formerHolderQueuesBehindThoseWhoWait() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.release("db", by: alice)
        table.acquire("db", by: carol)

        #expect(table.acquire("db", by: alice) == [])
        #expect(table.release("db", by: bob).last == .granted("db", to: carol, token: 3))
        #expect(table.release("db", by: carol).last == .granted("db", to: alice, token: 4))
    }

    @Test func longWaitsDoNotLoseTheirPlaceToShortOnes() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob)
        table.acquire("db", by: carol, wait: .after(.seconds(1)))
        #expect(table.release("db", by: alice).last == .granted("db", to: bob, token: 2))
    }

    @Test func manyWaitersLeaveFromEveryPlaceInTheQueue() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        let tags = (0..<100).map { Tag(UInt64($0)) }
        for tag in tags { table.acquire("db", by: bob.tagged(tag)) }
        for tag in tags where Int(tag.spelling).map({ $0 % 3 == 1 }) == true { table.cancel(tag, by: bob) }

        var holder = alice
        var granted: [Int] = []
        while let effect = table.release("db", by: holder).last, case .sendGranted(let id, _, _, _, _) = effect {
            holder = id
            granted.append(id.tag.flatMap { Int($0.spelling) } ?? -1)
        }
        #expect(granted == (0..<100).filter { $0 % 3 != 1 })
    }

    @Test func arrivalIsOneOrderOverAllSessions() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"))
        table.acquire("db", by: carol.tagged("1"))
        table.acquire("db", by: bob.tagged("2"))

        #expect(table.release("db", by: alice).last == .granted("db", to: bob.tagged("1"), token: 2))
        #expect(table.release("db", by: bob).last == .granted("db", to: carol.tagged("1"), token: 3))
        #expect(table.release("db", by: carol).last == .granted("db", to: bob.tagged("2"), token: 4))
    }
}
