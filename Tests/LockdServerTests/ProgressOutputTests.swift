import LockdCore
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

/// What waits for a session that asks for reports and does not read them.
@Suite struct ProgressOutputTests {
    private let fixture = ServiceFixture()
    private static let name = String(repeating: "n", count: LockName.maximumByteCount)

    /// A session that holds the name as often as it can be released, and one with waits that want to hear of each of that.
    private func makeHolderAndWaiter(leases: Int, waits: Int) -> (Session, Session) {
        let (holder, waiter) = (fixture.open(user: 1001), fixture.open())
        for number in 0..<leases { fixture.send("#\(number) ACQUIRE \(Self.name) mode=shared", from: holder) }
        for number in 0..<waits { fixture.send("#\(number) ACQUIRE \(Self.name) progress=100ms", from: waiter) }
        _ = (fixture.read(holder), fixture.read(waiter))
        return (holder, waiter)
    }

    private func change(_ count: Int, by holder: Session) {
        for _ in 0..<count {
            fixture.send("RELEASE \(Self.name)", from: holder)
            _ = fixture.read(holder)
            fixture.advance(Milliseconds(100))
        }
    }

    @Test func reportsThatAreNotReadDoNotPileUp() {
        let (holder, waiter) = makeHolderAndWaiter(leases: 102, waits: 40)
        change(100, by: holder)
        #expect(waiter.output.count < LockService.outputLimit + 1024)
    }

    @Test func whatWasHeldBackIsToldOnceThereIsRoom() {
        let (holder, waiter) = makeHolderAndWaiter(leases: 22, waits: 40)
        change(20, by: holder)
        let positions = Set(0..<40)
        var told: [String] = []
        // Whoever was held back is told as it is now, and nobody twice.
        while true {
            let lines = fixture.lines(waiter)
            fixture.advance(Milliseconds(100))
            if lines.isEmpty { break }
            told += lines
        }
        let last = told.filter { $0.contains("holders=2 ") }
        #expect(Set(last.compactMap { Int($0.dropFirst().prefix { $0 != " " }) }) == positions)
        #expect(last.count == 40)
    }

    @Test func waitThatIsOverIsNotReported() {
        let (holder, waiter) = makeHolderAndWaiter(leases: 22, waits: 40)
        change(20, by: holder)
        fixture.end(waiter)
        _ = fixture.read(waiter)
        fixture.advance(Milliseconds(100))
        #expect(fixture.read(waiter).isEmpty)
    }
}
