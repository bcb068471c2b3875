import Testing

@testable import LockdClient

/// What is refused before anything is asked for: nobody listens at the client's socket.
@Suite struct ArgumentTests {
    private let client = LockdClient(socket: "/nonexistent/lockd.sock")

    private func error(_ body: () async throws -> Void) async throws -> LockdClientError {
        try #require(await #expect(throws: LockdClientError.self) { try await body() })
    }

    @Test func emptyNameIsRefused() async throws {
        let error = try await error { _ = try await client.acquire("") }
        #expect(error.code == .invalidName)
        #expect(error.message == "a lock needs a name of 1 to 255 bytes, this one is empty")
    }

    @Test func longNameIsRefused() async throws {
        let error = try await error { _ = try await client.acquire(String(repeating: "ä", count: 128)) }
        #expect(error.code == .invalidName)
        #expect(error.message.hasPrefix("the name of a lock has at most 255 bytes, this one has 256: \"ää"))
    }

    @Test func everyNameIsLookedAt() async throws {
        let error = try await error { _ = try await client.acquire("a", "") }
        #expect(error.code == .invalidName)
        #expect(error.lockName?.isEmpty == true)
    }

    @Test(arguments: [
        ([], "a lease is on 1 to 16 names, and 0 are asked for"),
        ((1...17).map(String.init), "a lease is on 1 to 16 names, and 17 are asked for"),
        (["a", "b", "a"], #"lock "a" is named twice in one request"#),
    ])
    func namesAreFewAndDifferent(_ names: [String], _ words: String) async throws {
        let acquired = try await error { _ = try await client.acquire(names) }
        #expect(acquired.code == .invalidArgument)
        #expect(acquired.message == words)
        #expect(try await error { _ = try await client.tryAcquire(names) }.message == words)
        #expect(try await error { try await client.withLease(names) { _ in } }.message == words)
    }

    @Test func namesThatDoNotFitOneLineAreRefused() async throws {
        let names = (0..<16).map { String(UnicodeScalar(UInt8(0x61 + $0))) + String(repeating: "é", count: 127) }
        let error = try await error { _ = try await client.acquire(names) }
        #expect(error.code == .invalidArgument)
        #expect(error.message.hasSuffix("bytes; it can have 8192"), "\(error)")
        #expect(try await self.error { _ = try await client.acquire(Array(names[..<10])) }.code == .daemonUnavailable)
    }

    @Test(
        arguments: [
            (Duration.seconds(-1), nil, "the wait timeout is -1.0 seconds; it can be 0 to 366 days"),
            (.seconds(367 * 86_400), nil, "the wait timeout is 31708800.0 seconds; it can be 0 to 366 days"),
            (nil, .nanoseconds(-1), "the ttl is -1e-09 seconds; it can be 0 to 366 days"),
            (nil, .zero, "the ttl is zero: the lease would end as it begins"),
        ] as [(Duration?, Duration?, String)]
    )
    func durationIsRefused(_ waitTimeout: Duration?, _ ttl: Duration?, _ words: String) async throws {
        let error = try await error { _ = try await client.acquire("a", waitTimeout: waitTimeout, ttl: ttl) }
        #expect(error.code == .invalidArgument)
        #expect(error.message == words)
    }

    @Test(arguments: [Duration.zero, .microseconds(98_999), .seconds(367 * 86_400)])
    func intervalOfReportsIsBounded(_ interval: Duration) async throws {
        let error = try await error { _ = try await client.acquire("a", progress: .every(interval) { _ in }) }
        #expect(error.code == .invalidArgument)
        #expect(error.message.hasPrefix("the interval of the reports is \(interval); it can be "))
    }

    @Test func ownerAndNoteAreBounded() async throws {
        let owner = try await error { _ = try await client.tryAcquire("a", owner: "") }
        #expect(owner.code == .invalidArgument)
        #expect(owner.message == "the owner has 0 bytes; it can have 1 to 64, or be left out")
        let note = try await error {
            try await client.withLease("a", note: String(repeating: "n", count: 257)) { _ in }
        }
        #expect(note.message == "the note has 257 bytes; it can have 1 to 256, or be left out")
    }

    @Test(arguments: [LeaseBinding.process(0), .process(-1), .pidfd(-1), .pipe(readEnd: 1_000_000)])
    func whatALeaseIsBoundToHasToBeThere(_ binding: LeaseBinding) async throws {
        let error = try await error { _ = try await client.acquire("a", boundTo: binding) }
        #expect(error.code == .invalidArgument)
        #expect(error.message.hasPrefix("a lease cannot be bound to the "), "\(error)")
    }

    @Test func impossiblePathIsSaidByEveryRequest() async throws {
        let client = LockdClient(socket: "")
        #expect(try await error { try await client.ping() }.code == .invalidArgument)
        #expect(try await error { _ = try await client.acquire("a") }.code == .invalidArgument)
        await client.close()
    }

    @Test func missingDaemonIsNotWaitedFor() async throws {
        let error = try await error { _ = try await client.acquire("a") }
        #expect(error.code == .daemonUnavailable)
        #expect(error.lockName == "a")
        #expect(error.message.contains("/nonexistent/lockd.sock"))
    }
}
