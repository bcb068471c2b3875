import LockdModel
import Testing

@testable import LockdClient

/// Acquiring step by step, at the real daemon.
@Suite(.timeLimit(.minutes(5))) struct AcquisitionTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    @Test func stepsEndWithTheLease() async throws {
        let first = try await client.acquire("a", "b")
        let steps = try client.acquiring("a", "b", every: .milliseconds(100), note: "mine")
        var iterator = steps.makeAsyncIterator()
        guard case .waiting(let progress)? = try await iterator.next() else {
            throw Daemon.Failure(description: "no wait")
        }
        #expect(progress.lockNames == ["a", "b"])
        #expect(progress.position == 1)
        try await first.release()
        guard case .granted(let lease)? = try await iterator.next() else {
            throw Daemon.Failure(description: "no lease")
        }
        #expect(lease.names == ["a", "b"])
        #expect(try await iterator.next() == nil)
        try await lease.release()
    }

    @Test func freeLockIsGrantedInOneStep() async throws {
        let acquisition = try client.acquiring("a", every: .seconds(1))
        for _ in 0..<2 {
            var steps = 0
            for try await step in acquisition {
                steps += 1
                if case .granted(let lease) = step { try await lease.release() }
            }
            #expect(steps == 1)
        }
    }

    @Test func whoLeavesTheLoopWaitsNoLonger() async throws {
        let holder = try await client.acquire("a")
        for try await _ in try client.acquiring("a", every: .seconds(1)) { break }
        while try daemon.show("a").count > 1 { await Task.yield() }
        try await holder.release()
        try await client.acquire("a", waitTimeout: .zero).release()
    }

    @Test func grantThatNobodyHasSeenIsGivenBack() async throws {
        let holder = try await client.acquire("a")
        for try await _ in try client.acquiring("a", every: .seconds(1)) {
            try await holder.release()
            // It has been granted when this is answered.
            try await client.ping()
            break
        }
        while try !daemon.show("a").isEmpty { await Task.yield() }
        try await client.acquire("a", waitTimeout: .zero).release()
    }

    @Test func acquisitionKeepsItsClient() async throws {
        func acquiring() async throws -> Acquisition {
            let client = daemon.client()
            try await client.ping()
            return try client.acquiring("a", every: .seconds(1))
        }
        for try await step in try await acquiring() {
            if case .granted(let lease) = step { try await lease.release() }
        }
    }

    @Test func cancellationEndsTheWait() async throws {
        let holder = try await client.acquire("a")
        let waiting = Task { [client] in for try await _ in try client.acquiring("a", every: .seconds(1)) {} }
        try await daemon.awaitWaiters(1, for: "a")
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        #expect(try daemon.show("a").count == 1)
        try await holder.release()
    }

    @Test func errorsAreThrownWhereTheyBelong() async throws {
        #expect(throws: LockdClientError.self) { try client.acquiring("a", every: .milliseconds(99)) }
        let holder = try await client.acquire("a")
        let error = await #expect(throws: LockdClientError.self) {
            for try await _ in try client.acquiring("a", every: .seconds(1), waitTimeout: .milliseconds(1)) {}
        }
        #expect(error?.code == .waitTimedOut)
        try await holder.release()
    }

    // MARK: Owners

    @Test func workIsOneOwnerInAllItsTasks() async throws {
        try await LeaseOwner.with {
            let lease = try await client.acquire("a")
            let again = Task { [client] in try await client.acquire("a") }
            let error = await #expect(throws: LockdClientError.self) { try await again.value }
            #expect(error?.code == .alreadyHeld)
            try await lease.release()
        }
        #expect(LeaseOwner.current == nil)
    }

    @Test func twoPiecesOfWorkThatWaitForEachOtherAreToldSo() async throws {
        let refusals = Guarded(0)
        let haveOne = Room()
        try await withThrowingDiscardingTaskGroup { group in
            for names in [["a", "b"], ["b", "a"]] {
                group.addTask { [client] in
                    try await LeaseOwner.with {
                        try await client.withLease(names[0]) { _ in
                            haveOne.enter()
                            while haveOne.visits < 2 { await Task.yield() }
                            do {
                                try await client.withLease(names[1]) { _ in }
                            } catch let error as LockdClientError where error.code == .deadlock {
                                refusals.withLock { $0 += 1 }
                            }
                        }
                    }
                }
            }
        }
        #expect(refusals.withLock { $0 } == 1)
    }

    @Test func ownerIsThatOfThePlainThreadToo() throws {
        let client = BlockingLockdClient(socket: daemon.socket)
        try LeaseOwner.with("worker 7") {
            #expect(LeaseOwner.current == "worker 7")
            let lease = try client.acquire("a")
            let error = #expect(throws: LockdClientError.self) { try client.acquire("a") }
            #expect(error?.code == .alreadyHeld)
            try lease.release()
        }
    }
}
