import Glibc
import LockdModel
import LockdWire
import Synchronization
import Testing

@testable import LockdClient

/// How leases are lost, and kept.
@Suite(.timeLimit(.minutes(5))) struct LossTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    private func revoke(_ name: String) throws {
        let reason = try Text("because", limit: Text.longLimit)
        let answer = try daemon.session().ask(.revoke(LockName(name), token: nil, reason: reason))
        guard case .revoked = answer else { throw Daemon.Failure(description: "\(answer)") }
    }

    // MARK: Loss

    @Test func revocationIsTold() async throws {
        let lease = try await client.acquire("a")
        #expect(!lease.isLost)
        async let waited = lease.lost()
        try revoke("a")
        let loss = try #require(await waited)
        #expect(loss.reason == .revoked)
        #expect(loss.revocation?.processID == getpid())
        #expect(loss.revocation?.userID == getuid())
        #expect(loss.revocation?.why == "because")
        #expect(loss.token == lease.token)
        #expect(lease.isLost)
        #expect(await lease.lost() == loss, "also to who asks later")
        let error = await #expect(throws: LockdClientError.self) { try await lease.release() }
        #expect(error?.code == .leaseLost)
        #expect(error?.loss == loss)
    }

    // MARK: Cancelling the body

    @Test func lossCancelsTheBody() async throws {
        let revoked = Room()
        let error = await #expect(throws: LockdClientError.self) {
            async let revoking: Void = {
                while revoked.visits == 0 { await Task.yield() }
                try revoke("a")
            }()
            try await client.withLease("a", onLoss: .cancelBody) { _ in
                revoked.enter()
                try await Task.sleep(for: .seconds(3600))
            }
            try await revoking
        }
        #expect(error?.code == .leaseLost)
        #expect(error?.loss?.reason == .revoked)
    }

    @Test func bodyThatIsNotToBeCancelledRunsToItsEnd() async throws {
        let error = await #expect(throws: LockdClientError.self) {
            try await client.withLease("a", onLoss: .finishBody) { lease in
                try revoke("a")
                _ = await lease.lost()
                #expect(!Task.isCancelled)
            }
        }
        #expect(error?.code == .leaseLost)
    }

    @Test func bodyThatKeepsItsLeaseIsNotDisturbed() async throws {
        let value = try await client.withLease("a", "b", onLoss: .cancelBody) { lease in
            #expect(!Task.isCancelled)
            return lease.token
        }
        #expect(value > 0)
        #expect(try daemon.show("a").isEmpty)
        struct Odd: Error {}
        await #expect(throws: Odd.self) {
            try await client.withLease("a", onLoss: .cancelBody) { _ in throw Odd() }
        }
        #expect(try daemon.show("a").isEmpty)
    }

    @Test func bodyThatReleasesItsLeaseGoesOn() async throws {
        try await client.withLease("a", onLoss: .cancelBody) { lease in
            try await lease.release()
            for _ in 0..<1000 { await Task.yield() }
            #expect(!Task.isCancelled)
        }
    }

    @Test func cancellingTheCallerCancelsTheBodyAndReleases() async throws {
        let inside = Room()
        let task = Task { [client] in
            try await client.withLease("a", onLoss: .cancelBody) { _ in
                inside.enter()
                try await Task.sleep(for: .seconds(3600))
            }
        }
        while inside.visits == 0 { await Task.yield() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try daemon.show("a").isEmpty)
    }

    @Test func bodyThatReturnsAfterALossDidNotSucceed() async throws {
        let error = await #expect(throws: LockdClientError.self) {
            try await client.withLease("a") { lease in
                try revoke("a")
                _ = await lease.lost()
            }
        }
        #expect(error?.code == .leaseLost)
    }

    @Test func errorOfTheBodyIsMoreThanALoss() async throws {
        struct Failure: Error {}
        await #expect(throws: Failure.self) {
            try await client.withLease("a") { _ in
                try revoke("a")
                throw Failure()
            }
        }
    }

    @Test func nobodyWaitsForTheLossOfWhatIsReleased() async throws {
        let lease = try await client.acquire("a")
        async let waited = lease.lost()
        try await lease.release()
        #expect(await waited == nil)
        #expect(!lease.isLost)
    }

    @Test func waitingForALossCanBeCancelled() async throws {
        let lease = try await client.acquire("a")
        let waiting = Task { await lease.lost() }
        waiting.cancel()
        #expect(await waiting.value == nil)
        #expect(!lease.isLost)
    }

    // MARK: Renewal

    @Test func leaseIsRenewedWhileEveryThreadOfThePoolIsBlocked() async throws {
        let lease = try await client.acquire("a", ttl: .milliseconds(600))
        // More than twice the ttl, on a thread that is none of the pool's; meanwhile the tasks leave the pool no thread.
        let isOver = Flag()
        _ = ReaderThread.start {
            usleep(1_500_000)
            isOver.raise()
        }
        await withDiscardingTaskGroup { group in
            for _ in 0..<64 { group.addTask { isOver.wait() } }
        }
        #expect(!lease.isLost)
        #expect(try daemon.show("a").count == 1)
        try await lease.release()
    }

    @Test func leaseThatCannotBeRenewedExpires() async throws {
        let lease = try await client.acquire("a", ttl: .milliseconds(100))
        daemon.suspend()
        // The deadline passes while the daemon stands still: it ends the lease before it reads a late renewal.
        usleep(150_000)
        daemon.resume()
        #expect(await lease.lost()?.reason == .expired)
    }
}

/// Something that happens once.
final class Flag: Sendable {
    private let state = Atomic(false)

    var isRaised: Bool { state.load(ordering: .acquiring) }

    func raise() { state.store(true, ordering: .releasing) }

    /// Blocks the thread until it has happened.
    func wait() {
        while !isRaised { usleep(1000) }
    }
}
