import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// What the real daemon remembers of a lock.
@Suite(.timeLimit(.minutes(5))) struct HistoryTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    @Test func lastLeasesComeFirst() async throws {
        let first = try await client.acquire("a", "b", note: "n n")
        try await first.release()
        let second = try await client.acquire("a")
        _ = try daemon.session().ask(.revoke(try LockName("a"), token: nil, reason: nil))
        _ = await second.lost()
        let other = daemon.client()
        let third = try await other.acquire("a")
        await other.close()
        let holds = try await client.history(of: "a")
        #expect(holds.map(\.outcome) == [.ended, .revoked, .released])
        #expect(holds.map(\.token) == [third.token, second.token, first.token])
        #expect(holds.map(\.lockName) == ["a", "a", "a"])
        #expect(holds.map(\.note) == [nil, nil, "n%20n"])
        #expect(holds.map(\.holder.processID) == [getpid(), getpid(), getpid()])
        #expect(try await client.history(of: "b").map(\.token) == [first.token])
    }

    @Test func lockThatNobodyHeldHasNone() async throws {
        #expect(try await client.history(of: "a") == [])
        let lease = try await client.acquire("a")
        #expect(try await client.history(of: "a") == [], "it is not over")
        try await lease.release()
    }

    @Test func historyHasABound() async throws {
        for _ in 0..<20 { try await client.withLease("a") { _ in } }
        #expect(try await client.history(of: "a").count == 16)
    }

    @Test func badNameIsNotAskedFor() async throws {
        let error = await #expect(throws: LockdClientError.self) { try await client.history(of: "") }
        #expect(error?.code == .invalidName)
    }
}
