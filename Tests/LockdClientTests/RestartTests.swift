import Foundation
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// The daemon ends, however it ends, and another one goes on.
@Suite(.timeLimit(.minutes(5))) struct RestartTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    /// The token of the lease on `name` that the daemon lists.
    private func token(of name: String) throws -> UInt64? {
        guard case .lease(let line)? = try daemon.show(name).first else { return nil }
        return line.token.value
    }

    @Test(arguments: [SIGKILL, SIGTERM]) func leaseOutlivesTheDaemon(_ signal: CInt) async throws {
        let lease = try await client.acquire("a", "b")
        let temporary = try await client.acquire("c", ttl: .seconds(10))
        try daemon.restart(signal)
        #expect(try token(of: "a") == lease.token)
        #expect(try token(of: "c") == temporary.token)
        try await client.ping()
        #expect(!lease.isLost)
        #expect(try await daemon.client().tryAcquire("b") == nil)
        try await lease.release()
        try await temporary.release()
        let next = try await client.acquire("b")
        #expect(next.token > lease.token)
        #expect(next.previous == nil)
    }

    @Test(arguments: [SIGKILL, SIGTERM]) func waitersKeepTheirPlaces(_ signal: CInt) async throws {
        let lease = try await client.acquire("a")
        var waiting: [Task<UInt64, any Error>] = []
        for number in 1...6 {
            let client = number.isMultiple(of: 2) ? client : daemon.client()
            waiting.append(Task { try await client.withLease("a") { $0.token } })
            try await daemon.awaitWaiters(number, for: "a")
        }
        for _ in 0..<2 { try daemon.restart(signal) }
        try await daemon.awaitWaiters(6, for: "a")
        try await lease.release()
        var tokens = [lease.token]
        for waiting in waiting { tokens.append(try await waiting.value) }
        #expect(tokens == tokens.sorted())
        #expect(Set(tokens).count == 7)
    }

    @Test func releaseWhileThereIsNoDaemonIsDelivered() async throws {
        let lease = try await client.acquire("a")
        let asking = Room()
        daemon.end()
        let releasing = Task {
            asking.enter()
            try await lease.release()
        }
        while asking.visits == 0 { await Task.yield() }
        try daemon.start()
        try await releasing.value
        #expect(try daemon.show("a") == [])
    }

    @Test func boundLeaseIsReleasedWhenThereIsADaemon() async throws {
        let lease = try await client.acquire("a", boundTo: .process(getpid()))
        daemon.end()
        let releasing = Task { [client] in try await client.release("a", token: lease.token) }
        try daemon.start()
        try await releasing.value
        #expect(try daemon.show("a") == [])
    }

    @Test func requestsWithoutADaemonAreAnsweredByTheNext() async throws {
        try await client.ping()
        daemon.end()
        let asking = Room()
        let acquiring = Task { [client] in
            asking.enter()
            return try await client.acquire("a")
        }
        while asking.visits == 0 { await Task.yield() }
        try daemon.start()
        try await acquiring.value.release()
    }

    @Test func waitTimeoutIsHonouredWithoutADaemon() async throws {
        let lease = try await client.acquire("a")
        daemon.end()
        let error = await #expect(throws: LockdClientError.self) {
            try await client.acquire("b", waitTimeout: .milliseconds(50))
        }
        #expect(error?.code == .waitTimedOut)
        #expect(error?.message.contains("has ended and is not back") == true)
        try daemon.start()
        try await lease.release()
    }

    @Test func tryGivesUpWithoutADaemon() async throws {
        let lease = try await client.acquire("a")
        daemon.end()
        let clock = ContinuousClock()
        let start = clock.now
        let error = await #expect(throws: LockdClientError.self) { try await client.tryAcquire("b") }
        #expect(error?.code == .daemonUnavailable)
        #expect(clock.now - start >= .seconds(2))
        #expect(!lease.isLost)
        try daemon.start()
        try await lease.release()
    }

    @Test func firstConnectionIsNotWaitedFor() async throws {
        daemon.end()
        let error = await #expect(throws: LockdClientError.self) { try await client.acquire("a") }
        #expect(error?.code == .daemonUnavailable)
    }

    @Test func closeWhileThereIsNoDaemonIsDelivered() async throws {
        let lease = try await client.acquire("a")
        daemon.end()
        let asking = Room()
        let closing = Task { [client] in
            asking.enter()
            await client.close()
        }
        while asking.visits == 0 { await Task.yield() }
        try daemon.start()
        await closing.value
        #expect(await lease.lost()?.reason == .closed)
        while try !daemon.show("a").isEmpty { await Task.yield() }
    }

    @Test func leaseThatNobodyKnowsAnyMoreIsLost() async throws {
        let lease = try await client.acquire("a")
        let waiting = Task { [client] in try await client.acquire("a") }
        try await daemon.awaitWaiters(1, for: "a")
        daemon.end()
        try FileManager.default.removeItem(atPath: daemon.socket + ".log")
        try daemon.start()
        let loss = try #require(await lease.lost())
        #expect(loss.reason == .forgotten)
        let next = try await waiting.value
        #expect(next.token > lease.token)
        let error = await #expect(throws: LockdClientError.self) { try await lease.release() }
        #expect(error?.code == .leaseLost)
        try await next.release()
    }

    @Test func leaseOfAProcessThatEndsMeanwhileIsFreeAtOnce() async throws {
        let process = try daemon.spawnHolder(of: "a")
        while try token(of: "a") == nil { await Task.yield() }
        daemon.end()
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
        try daemon.start()
        let lease = try await client.acquire("a", waitTimeout: .zero)
        #expect(lease.previous == nil || lease.previous?.ending == .ended)
    }

    @Test func watchGoesOn() async throws {
        let events = try await client.watch(prefix: "jobs/")
        try await client.withLease("jobs/1") { _ in }
        try daemon.restart(SIGKILL)
        try await client.withLease("jobs/2") { _ in }
        var words: [String] = []
        for try await event in events {
            switch event {
            case .granted(let subject, _, _): words.append("granted \(subject.lockNames[0])")
            case .ended(let subject, _, _, _): words.append("ended \(subject.lockNames[0])")
            case .queued, .unqueued, .missed: words.append("\(event)")
            }
            if words.last == "ended jobs/2" { break }
        }
        // The last of the events before may come twice.
        #expect(Set(words) == ["granted jobs/1", "ended jobs/1", "granted jobs/2", "ended jobs/2"])
    }
}
