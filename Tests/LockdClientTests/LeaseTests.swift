import LockdModel
import LockdWire
import Synchronization
import Testing

@testable import LockdClient

@Suite struct LeaseTests {
    @Test func withLeaseExcludesEverybodyElse() async throws {
        let daemon = try Daemon()
        let client = daemon.client()
        let room = Room()
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<100 {
                group.addTask {
                    try await client.withLease("counter") { _ in
                        room.enter()
                        await Task.yield()
                        room.leave()
                    }
                }
            }
        }
        #expect(room.visits == 100)
        #expect(room.mostAtATime == 1)
        #expect(try daemon.show("counter") == [])
    }
}

/// Counts who is in it.
final class Room: Sendable {
    private let state = Mutex((inside: 0, most: 0, visits: 0))

    var mostAtATime: Int { state.withLock { $0.most } }
    var visits: Int { state.withLock { $0.visits } }

    func enter() {
        state.withLock { state in
            state.inside += 1
            state.visits += 1
            state.most = max(state.most, state.inside)
        }
    }

    func leave() { state.withLock { $0.inside -= 1 } }
}
