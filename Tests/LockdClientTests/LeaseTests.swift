import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// Leases of one client, granted by the real daemon.
@Suite(.timeLimit(.minutes(5))) struct LeaseTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    // MARK: Acquiring

    @Test func withLeaseExcludesEverybodyElse() async throws {
        let room = Room()
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<100 {
                group.addTask { [client] in
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

    @Test func clientsOfOneProcessExcludeEachOther() async throws {
        let room = Room()
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<50 {
                let client = daemon.client()
                group.addTask {
                    for _ in 0..<4 {
                        try await client.withLease("counter") { _ in
                            room.enter()
                            await Task.yield()
                            room.leave()
                        }
                    }
                }
            }
        }
        #expect(room.visits == 200)
        #expect(room.mostAtATime == 1)
    }

    @Test func locksAreGrantedInTheOrderOfTheRequests() async throws {
        let first = try await client.acquire("a")
        var waiting: [Task<UInt64, any Error>] = []
        for position in 1...10 {
            waiting.append(
                Task { [client] in
                    let lease = try await client.acquire("a")
                    try await lease.release()
                    return lease.token
                }
            )
            try await daemon.awaitWaiters(position, for: "a")
        }
        try await first.release()
        var tokens = [first.token]
        for task in waiting { tokens.append(try await task.value) }
        #expect(tokens == tokens.sorted())
        #expect(Set(tokens).count == 11)
    }

    @Test func sharedLeasesAreHeldTogether() async throws {
        let leases = [try await client.acquire("db", mode: .shared), try await client.acquire("db", mode: .shared)]
        #expect(try await client.tryAcquire("db") == nil)
        for lease in leases { try await lease.release() }
        try await #require(client.tryAcquire("db")).release()
    }

    @Test func limitIsASemaphore() async throws {
        let room = Room()
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<50 {
                group.addTask { [client] in
                    try await client.withLease("gpu", mode: .limit(3)) { _ in
                        room.enter()
                        await Task.yield()
                        room.leave()
                    }
                }
            }
        }
        #expect(room.visits == 50)
        #expect((1...3).contains(room.mostAtATime))
    }

    @Test func requestDoesNotQueueBehindMoreThanItWants() async throws {
        let lease = try await client.acquire("job")
        let error = await #expect(throws: LockdClientError.self) { try await client.acquire("job", maxQueue: 0) }
        #expect(error?.code == .waitTimedOut)
        try await lease.release()
    }

    @Test(arguments: [0, -1, 100_001]) func limitOutOfRangeIsNamed(limit: Int) async {
        let error = await #expect(throws: LockdClientError.self) {
            try await client.acquire("db", mode: .limit(limit))
        }
        #expect(error?.description.contains("the limit is \(limit); it can be 1 to 100000") == true)
    }

    @Test func leaseTellsOfOneBeforeItThatWasNotReleased() async throws {
        let other = daemon.client()
        let abandoned = try await other.acquire("db", note: "half done")
        await other.close()
        let lease = try await client.acquire("db")
        #expect(lease.previous?.ending == .ended)
        #expect(lease.previous?.token == abandoned.token)
        #expect(lease.previous?.processID == getpid())
        #expect(lease.previous?.note == "half%20done")
        try await lease.release()
        let next = try await client.acquire("db")
        #expect(next.previous == nil)
        try await next.release()
    }

    @Test func severalNamesAreHeldTogether() async throws {
        let lease = try await client.acquire("b", "a", "c")
        #expect(lease.names == ["b", "a", "c"])
        #expect(lease.name == "b")
        #expect("\(lease)" == "b, a, c (token \(lease.token))")
        for name in ["a", "b", "c"] { #expect(try await client.tryAcquire(name) == nil) }
        #expect(try await client.tryAcquire("d", "c") == nil)
        try await lease.release()
        try await client.withLease(["a", "b", "c"]) { #expect($0.names == ["a", "b", "c"]) }
        #expect(try daemon.show("a") == [])
    }

    /// The dining philosophers, each of whom takes the left fork and the right one in the order that comes to hand.
    @Test func requestsThatShareNamesNeverWaitForEachOther() async throws {
        let rooms = (0..<5).map { _ in Room() }
        try await withThrowingDiscardingTaskGroup { group in
            for philosopher in 0..<5 {
                group.addTask { [client] in
                    for meal in 0..<20 {
                        let forks = [philosopher, (philosopher + 1) % 5]
                        let order = meal % 2 == 0 ? forks : forks.reversed()
                        try await client.withLease(order.map { "fork/\($0)" }) { _ in
                            for fork in forks { rooms[fork].enter() }
                            await Task.yield()
                            for fork in forks { rooms[fork].leave() }
                        }
                    }
                }
            }
        }
        for room in rooms {
            #expect(room.visits == 40)
            #expect(room.mostAtATime == 1)
        }
    }

    @Test func lossOfOneNameIsTheLossOfAll() async throws {
        let lease = try await client.acquire("a", "b")
        _ = try daemon.session().ask(.revoke(try LockName("b"), token: nil, reason: nil))
        let loss = try #require(await lease.lost())
        #expect(loss.lockNames == ["a", "b"])
        #expect(loss.reason == .revoked)
        let error = await #expect(throws: LockdClientError.self) { try await lease.release() }
        #expect(error?.lockNames == ["a", "b"])
    }

    @Test func ownerThatHoldsAPartIsRefused() async throws {
        let lease = try await client.acquire("a", owner: "one")
        let error = await #expect(throws: LockdClientError.self) { try await client.acquire("b", "a", owner: "one") }
        #expect(error?.code == .alreadyHeld)
        #expect(error?.lockNames == ["b", "a"])
        #expect(!lease.isLost)
    }

    @Test func tryAcquireDoesNotWait() async throws {
        let lease = try #require(try await client.tryAcquire("a"))
        #expect(try await client.tryAcquire("a") == nil)
        try await lease.release()
        #expect(try await client.tryAcquire("a") != nil)
    }

    @Test func acquireThatTimesOutNamesTheHolder() async throws {
        let lease = try await client.acquire("a")
        let error = await #expect(throws: LockdClientError.self) {
            try await client.acquire("a", waitTimeout: .microseconds(1500))
        }
        #expect(error?.code == .waitTimedOut)
        #expect(error?.lockName == "a")
        #expect(error?.message.contains("it is held by pid \(getpid()) (") == true, "\(String(describing: error))")
        #expect(try daemon.show("a").filter(\.isWaiter) == [])
        try await lease.release()
    }

    @Test func ownerThatHoldsIsNotGrantedAgain() async throws {
        let lease = try await client.acquire("a", owner: "one")
        let error = await #expect(throws: LockdClientError.self) { try await client.acquire("a", owner: "one") }
        #expect(error?.code == .alreadyHeld)
        #expect(try await client.tryAcquire("a", owner: "two") == nil)
        #expect(!lease.isLost)
    }

    @Test func whatIsAskedForArrivesAsItIs() async throws {
        _ = try await client.acquire("a b/é", ttl: .seconds(90), owner: "o", note: "n n")
        guard case .lease(let line) = try #require(daemon.show("a b/é").first) else {
            Issue.record("not a lease")
            return
        }
        #expect(line.client?.spelling == "lockd-swift/\(LockdVersion.current)")
        #expect(line.timeToLive == .seconds(90))
        #expect(line.owner?.spelling == "o")
        #expect(line.note?.spelling == "n%20n")
        #expect(line.peer.process == ProcessID(getpid()))
    }

    @Test func actorMayChangeItselfUnderALease() async throws {
        actor Count {
            private(set) var value = 0
            func add(_ client: LockdClient) async throws { try await client.withLease("a") { _ in value += 1 } }
        }
        let count = Count()
        try await count.add(client)
        #expect(await count.value == 1)
    }

    // MARK: Cancelling

    @Test func cancelledTaskLeavesNoWaiter() async throws {
        let lease = try await client.acquire("a")
        let waiting = Task { [client] in try await client.acquire("a") }
        try await daemon.awaitWaiters(1, for: "a")
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        try await client.ping()
        #expect(try daemon.show("a").count == 1)
        try await lease.release()
    }

    @Test func cancelledTaskDoesNotAskAtAll() async throws {
        let task = Task { [client] in
            withUnsafeCurrentTask { $0?.cancel() }
            return try await client.acquire("a")
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        try await client.ping()
        #expect(try daemon.show("a") == [])
    }

    @Test func grantThatMeetsACancellationIsNotLeaked() async throws {
        var grants = 0
        for _ in 0..<300 {
            let lease = try #require(try await client.tryAcquire("a"))
            let waiting = Task { [client] in try await client.acquire("a") }
            try await daemon.awaitWaiters(1, for: "a")
            async let release: Void = lease.release()
            waiting.cancel()
            if case .success(let lease) = await waiting.result {
                grants += 1
                try await lease.release()
            }
            try await release
            // Behind its answer everything is done that was to be done for the cancelled request.
            try await client.ping()
        }
        #expect(try daemon.show("a") == [])
        #expect(grants < 300, "no request was ever cancelled")
    }

    // MARK: Releasing

    @Test func withLeaseReleasesWhenItsBodyThrows() async throws {
        struct Failure: Error {}
        await #expect(throws: Failure.self) { try await client.withLease("a") { _ in throw Failure() } }
        #expect(try daemon.show("a") == [])
    }

    @Test func withLeaseReleasesInACancelledTask() async throws {
        let task = Task { [client] in
            try await client.withLease("a") { _ in
                withUnsafeCurrentTask { $0?.cancel() }
                return 1
            }
        }
        #expect(try await task.value == 1)
        #expect(try daemon.show("a") == [])
    }

    @Test func releasingAgainDoesNothing() async throws {
        let lease = try await client.acquire("a")
        try await lease.release()
        let next = try await client.acquire("a")
        try await lease.release()
        #expect(try daemon.show("a").count == 1)
        try await next.release()
    }

    @Test func leaseOutlivesItsObjects() async throws {
        func acquireAndForget() async throws { _ = try await daemon.client().acquire("a") }
        try await acquireAndForget()
        #expect(try await client.tryAcquire("a") == nil)
    }
}

/// Counts who is in it.
final class Room: Sendable {
    private let state = Guarded((inside: 0, most: 0, visits: 0))

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
