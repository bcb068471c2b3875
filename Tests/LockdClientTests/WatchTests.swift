import Glibc
import LockdModel
import LockdWire
import Testing

// Not the one of the wire.
import enum LockdClient.WatchEvent

@testable import LockdClient

/// Watching the real daemon.
@Suite(.timeLimit(.minutes(5))) struct WatchTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    /// What happens, in words: the verb, the names, and the token where there is one.
    private static func words(_ event: WatchEvent) -> String {
        switch event {
        case .queued(let subject, let position): "queued \(subject.lockNames.joined(separator: " ")) #\(position)"
        case .unqueued(let subject, _, let reason): "unqueued \(subject.lockNames.joined(separator: " ")) \(reason)"
        case .granted(let subject, _, _): "granted \(subject.lockNames.joined(separator: " "))"
        case .ended(let subject, let outcome, _, _): "\(outcome) \(subject.lockNames.joined(separator: " "))"
        case .missed(let count): "missed \(count.map(String.init) ?? "some")"
        }
    }

    private func take(_ count: Int, from events: WatchEvents) async throws -> [String] {
        var words: [String] = []
        for try await event in events {
            words.append(Self.words(event))
            if words.count == count { break }
        }
        return words
    }

    @Test func whateverHappensIsToldInOrder() async throws {
        let events = try await client.watch()
        let lease = try await client.acquire("a", "b", note: "n n")
        let waiting = Task { [client] in try await client.acquire("b") }
        try await daemon.awaitWaiters(1, for: "b")
        await #expect(throws: LockdClientError.self) { try await client.acquire("a", waitTimeout: .milliseconds(1)) }
        try await lease.release()
        let next = try await waiting.value
        _ = try daemon.session().ask(.revoke(try LockName("b"), token: nil, reason: nil))
        _ = await next.lost()
        #expect(
            try await take(7, from: events) == [
                "granted a b", "queued b #1", "queued a #1", "unqueued a timeout", "released a b", "granted b",
                "revoked b",
            ]
        )
    }

    @Test func onlyNamesWithThePrefixAreTold() async throws {
        let events = try await client.watch(prefix: "jobs/")
        try await client.withLease("job") { _ in }
        try await client.withLease("x", "jobs/1") { _ in }
        try await client.withLease("jobs/2") { _ in }
        #expect(
            try await take(4, from: events) == [
                "granted x jobs/1", "released x jobs/1", "granted jobs/2", "released jobs/2",
            ]
        )
    }

    @Test func eventSaysWhoAndHow() async throws {
        let events = try await client.watch()
        let lease = try await client.acquire("a\u{1B}", note: "n n")
        var iterator = events.makeAsyncIterator()
        guard case .granted(let subject, let token, let waited) = try #require(try await iterator.next()) else {
            Issue.record("not granted")
            return
        }
        #expect(subject.lockNames == ["a\u{1B}"])
        #expect(subject.peer.processID == getpid())
        #expect(subject.note == "n%20n")
        #expect(token == lease.token)
        #expect(waited < .seconds(60))
    }

    @Test func watchOutlivesItsClient() async throws {
        let events = try await client.watch()
        await client.close()
        await #expect(throws: LockdClientError.closed) { try await client.watch() }
        try await daemon.client().withLease("a") { _ in }
        #expect(try await take(2, from: events) == ["granted a", "released a"])
    }

    @Test func whoDoesNotTakeThemMissesSome() async throws {
        let events = try await client.watch()
        let rounds = 6000
        for _ in 0..<rounds { try await client.withLease("a", note: String(repeating: "n", count: 256)) { _ in } }
        var (told, missed) = (0, 0)
        for try await event in events {
            if case .missed(let count?) = event { missed += Int(count) } else { told += 1 }
            if told + missed == 2 * rounds { break }
        }
        #expect(missed > 0)
        // Some hundreds here, what the sockets hold, and 64 KiB in the daemon.
        #expect(told < rounds)
    }

    @Test func cancelledTaskWatchesNoMore() async throws {
        let events = try await client.watch()
        let watching = Task {
            var count = 0
            for try await _ in events { count += 1 }
            return count
        }
        try await client.withLease("a") { _ in }
        watching.cancel()
        #expect(try await watching.value <= 2)
        #expect(try await take(1, from: events) == [])
        try await awaitWatchers(0)
    }

    @Test func watchEndsWithTheLastThatRefersToIt() async throws {
        func watchAndForget() async throws { _ = try await client.watch() }
        try await watchAndForget()
        try await awaitWatchers(0)
    }

    @Test func watchIsNotBegunWithoutADaemon() async throws {
        daemon.end()
        let error = await #expect(throws: LockdClientError.self) { try await client.watch() }
        #expect(error?.code == .daemonUnavailable)
    }

    @Test func tooManyWatchersAreRefused() async throws {
        var watches: [WatchEvents] = []
        for _ in 0..<64 { watches.append(try await client.watch()) }
        let error = await #expect(throws: LockdClientError.self) { try await client.watch() }
        #expect(error?.code == .limitReached)
        watches = []
        try await awaitWatchers(0)
        _ = try await client.watch()
    }

    /// Waits until `count` sessions watch.
    private func awaitWatchers(_ count: Int) async throws {
        let session = try daemon.session()
        while true {
            session.send(.stats)
            var watchers: String?
            while case .statistic(let key, let value) = try session.receive() {
                if key == "watchers" { watchers = value }
            }
            if watchers == "\(count)" { return }
            await Task.yield()
        }
    }
}
