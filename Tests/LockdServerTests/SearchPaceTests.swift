import LockdCore
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

/// How much the searches of one user hold up everybody else.
@Suite struct SearchPaceTests {
    private let fixture = ServiceFixture()

    /// Others hold a name so often that every search that looks at it takes long, but not as long as one may.
    init() {
        for _ in 0..<40 {
            let holder = fixture.open(user: 1001)
            let lines = (0..<100).map { "#\($0) ACQUIRE busy mode=shared\n" }
            fixture.sendBytes(lines.joined(), from: holder)
            _ = fixture.read(holder)
        }
    }

    /// A session of which every untagged `ACQUIRE busy` would wait for itself.
    private func openAsker(user: UInt32 = 1000) -> Session {
        let asker = fixture.open(user: user)
        fixture.send("#1 ACQUIRE busy mode=shared", from: asker)
        _ = fixture.read(asker)
        return asker
    }

    private func ask(_ count: Int, from session: Session) {
        fixture.sendBytes(String(repeating: "ACQUIRE busy\n", count: count), from: session)
    }

    private func answerCount(_ session: Session) -> Int {
        fixture.lines(session).count { $0.hasPrefix("DEADLOCK") }
    }

    @Test func manySearchesInOneTurnAreAsLongAsOne() {
        let alice = openAsker()
        ask(20, from: alice)
        #expect(answerCount(alice) == 3)
        #expect(!alice.wantsInput)
        var total = 3
        for _ in 0..<20 {
            fixture.takeTurn()
            let count = answerCount(alice)
            #expect(count <= 3)
            total += count
        }
        #expect(total == 20)
        #expect(alice.wantsInput)
    }

    /// Nobody comes a second time before all have come once.
    @Test func sessionsOfOneUserTakeTurns() {
        let askers = (0..<5).map { _ in openAsker() }
        for asker in askers { ask(6, from: asker) }
        var counts = askers.map(answerCount)
        #expect(counts.reduce(0, +) == 3)
        for _ in 0..<9 {
            fixture.takeTurn()
            let more = askers.map(answerCount)
            #expect(more.reduce(0, +) <= 3)
            counts = zip(counts, more).map { $0 + $1 }
        }
        #expect(counts == [6, 6, 6, 6, 6])
    }

    @Test func nobodyElseIsHeldUp() {
        let (alice, bob) = (openAsker(), openAsker(user: 1002))
        ask(20, from: alice)
        ask(2, from: bob)
        #expect(answerCount(bob) == 2)
        #expect(bob.wantsInput)
    }

    @Test func endOfASessionThatRestsIsTheEnd() {
        let alice = openAsker()
        ask(20, from: alice)
        fixture.end(alice)
        #expect(alice.state == .ended)
        fixture.takeTurn()
        let isAnybodyLeft = fixture.service.hasRunnableSessions
        #expect(!isAnybodyLeft)
    }
}
