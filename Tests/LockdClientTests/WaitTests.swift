import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// Waits at the real daemon: how they go, and those that would go on for ever.
@Suite(.timeLimit(.minutes(5))) struct WaitTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    @Test func waitIsReportedInOrderAndNotAfterTheAnswer() async throws {
        let first = try await client.acquire("a", note: "the first")
        let second = Task { [client] in try await client.acquire("a") }
        try await daemon.awaitWaiters(1, for: "a")
        let reports = Guarded<[WaitProgress]>([])
        let third = Task { [client] in
            let lease = try await client.acquire(
                "a",
                progress: .every(.milliseconds(100)) { progress in reports.withLock { $0.append(progress) } }
            )
            return (lease, reports.withLock { $0 })
        }
        try await daemon.awaitWaiters(2, for: "a")
        while reports.withLock(\.isEmpty) { await Task.yield() }
        try await first.release()
        let next = try await second.value
        while reports.withLock(\.count) < 2 { await Task.yield() }
        try await next.release()
        let (lease, before) = try await third.value
        try await lease.release()
        try await client.ping()
        #expect(reports.withLock { $0 } == before)
        #expect(before.map(\.position) == [2, 1])
        #expect(before[0].holder?.note == "the%20first")
        #expect(before[0].holder?.processID == getpid())
        #expect(before[0].waiterCount == 2)
        #expect(before[1].waiterCount == 1)
    }

    @Test func whoIsGrantedAtOnceIsToldNothing() async throws {
        let lease = try await client.acquire("a", progress: .every(.seconds(1)) { Issue.record("\($0)") })
        try await lease.release()
    }

    /// Whatever comes while it looks at one report is there when it comes back.
    @Test func grantThatComesDuringAReportIsNotLost() async throws {
        let lease = try await client.acquire("a")
        let (told, hasTold) = (Guarded(false), Guarded(false))
        let waiting = Task { [client] in
            try await client.acquire(
                "a",
                progress: .every(.milliseconds(100)) { _ in
                    told.withLock { $0 = true }
                    while !hasTold.withLock({ $0 }) { sched_yield() }
                }
            )
        }
        while !told.withLock({ $0 }) { await Task.yield() }
        try await lease.release()
        try await client.ping()
        hasTold.withLock { $0 = true }
        try await waiting.value.release()
    }

    @Test func cancellationDuringAReportEndsTheWait() async throws {
        let lease = try await client.acquire("a")
        let waiting = Task { [client] in
            try await client.acquire(
                "a",
                progress: .every(.milliseconds(100)) { _ in withUnsafeCurrentTask { $0?.cancel() } }
            )
        }
        await #expect(throws: CancellationError.self) { try await waiting.value }
        try await client.ping()
        #expect(try daemon.show("a").count == 1)
        try await lease.release()
    }

    @Test func reportsMayChangeWhatTheCallerOwns() async throws {
        actor Progress {
            var positions: [Int] = []
            func acquire(_ client: LockdClient) async throws {
                let lease = try await client.acquire(
                    "a",
                    progress: .every(.seconds(1)) { self.positions.append($0.position) }
                )
                try await lease.release()
            }
        }
        let lease = try await client.acquire("a")
        let progress = Progress()
        let waiting = Task { [client] in try await progress.acquire(client) }
        while await progress.positions.isEmpty { await Task.yield() }
        try await lease.release()
        try await waiting.value
        #expect(await progress.positions == [1])
    }

    @Test func deadlockIsRefusedWithEveryStepOfIt() async throws {
        let a = try await client.acquire("a", owner: "one")
        let b = try await client.acquire("b", owner: "two")
        let waiting = Task { [client] in try await client.acquire("b", owner: "one") }
        try await daemon.awaitWaiters(1, for: "b")
        let error = try #require(
            await #expect(throws: LockdClientError.self) { try await client.acquire("a", owner: "two") }
        )
        #expect(error.code == .deadlock)
        #expect(error.lockNames == ["a"])
        #expect(error.edges.map(\.lockName) == ["a", "b"])
        #expect(error.edges.map(\.waiter.owner) == ["two", "one"])
        #expect(error.edges.map(\.holder.owner) == ["one", "two"])
        #expect(error.edges[0].holder.processID == getpid())
        guard case .lease(_, a.token) = error.edges[0].obstacle else {
            Issue.record("\(error.edges[0])")
            return
        }
        // It holds still what it held, and the other goes on when it lets go of that.
        try await b.release()
        try await waiting.value.release()
        try await a.release()
    }

    @Test func ownersThatAreNotNamedAreNotSeenThrough() async throws {
        let a = try await client.acquire("a")
        let b = try await client.acquire("b")
        let waiting = Task { [client] in try await client.acquire("b") }
        try await daemon.awaitWaiters(1, for: "b")
        let error = await #expect(throws: LockdClientError.self) {
            try await client.acquire("a", waitTimeout: .milliseconds(1))
        }
        #expect(error?.code == .waitTimedOut)
        try await b.release()
        try await waiting.value.release()
        try await a.release()
    }
}
