import CLinux
import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// Leases that live as long as a process or a pipe, granted by the real daemon.
@Suite(.timeLimit(.minutes(5))) struct BoundLeaseTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    /// The two ends of a pipe, closed with it.
    private final class Pipe {
        let readEnd: CInt
        private(set) var writeEnd: CInt

        init() throws {
            var ends: [CInt] = [0, 0]
            // Children of other tests must not inherit it, not even for a moment.
            let result = try Self.pipe2(&ends, O_CLOEXEC)
            try #require(result == 0)
            (readEnd, writeEnd) = (ends[0], ends[1])
        }

        /// The function of the C library that Swift's module of it does not show.
        private static func pipe2(_ ends: UnsafeMutablePointer<CInt>, _ flags: CInt) throws -> CInt {
            typealias Function = @convention(c) (UnsafeMutablePointer<CInt>, CInt) -> CInt
            return unsafeBitCast(try #require(dlsym(nil, "pipe2")), to: Function.self)(ends, flags)
        }

        func closeWriteEnd() {
            if writeEnd != -1 { close(writeEnd) }
            writeEnd = -1
        }

        deinit {
            closeWriteEnd()
            close(readEnd)
        }
    }

    /// A process that sleeps until it is killed.
    private func sleeper() throws -> pid_t {
        var process = pid_t()
        let words: [String] = ["sleep", "1000"]
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let result = posix_spawnp(&process, "sleep", nil, nil, &arguments, environ)
        try #require(result == 0)
        return process
    }

    @Test func leaseOfAProcessEndsWithIt() async throws {
        let process = try sleeper()
        let lease = try await client.acquire("a", "b", boundTo: .process(process), note: "script")
        #expect(lease.names == ["a", "b"])
        #expect(lease.previous == nil)
        await client.close()
        let other = daemon.client()
        #expect(try await other.tryAcquire("b") == nil)
        guard case .lease(let line) = try #require(daemon.show("a").first) else {
            Issue.record("not a lease")
            return
        }
        #expect(line.binding == .pidfd)
        #expect(line.token.value == lease.token)
        #expect(line.peer.process == ProcessID(process))
        let waiting = Task { try await other.acquire("b") }
        try await daemon.awaitWaiters(1, for: "b")
        kill(process, SIGKILL)
        let next = try await waiting.value
        waitpid(process, nil, 0)
        #expect(next.previous?.token == lease.token)
        #expect(next.previous?.ending == .ended)
        try await next.release()
    }

    @Test func leaseOfAPipeEndsWhenNobodyCanWriteToIt() async throws {
        let pipe = try Pipe()
        let copy = fcntl(pipe.writeEnd, F_DUPFD_CLOEXEC, 0)
        _ = try await client.acquire("a", boundTo: .pipe(readEnd: pipe.readEnd))
        pipe.closeWriteEnd()
        try await client.ping()
        #expect(try await client.tryAcquire("a") == nil)
        close(copy)
        try await client.acquire("a").release()
    }

    @Test func descriptorStaysTheCallers() async throws {
        let pipe = try Pipe()
        for name in ["a", "b", "c"] { _ = try await client.acquire(name, boundTo: .pipe(readEnd: pipe.readEnd)) }
        #expect(fcntl(pipe.readEnd, F_GETFD) != -1)
        pipe.closeWriteEnd()
        for name in ["a", "b", "c"] { try await client.acquire(name).release() }
    }

    @Test func descriptorsOfManyRequestsAreNotMixedUp() async throws {
        let pipes = try (0..<20).map { _ in try Pipe() }
        try await withThrowingDiscardingTaskGroup { group in
            for (number, pipe) in pipes.enumerated() {
                let readEnd = pipe.readEnd
                group.addTask { [client] in
                    _ = try await client.acquire("bound/\(number)", boundTo: .pipe(readEnd: readEnd))
                }
                group.addTask { [client] in try await client.withLease("plain/\(number)") { _ in } }
            }
        }
        for (number, pipe) in pipes.enumerated() {
            #expect(try await client.tryAcquire("bound/\(number)") == nil)
            pipe.closeWriteEnd()
            try await client.acquire("bound/\(number)").release()
        }
    }

    @Test func whoeverHasTheTokenReleases() async throws {
        let pipe = try Pipe()
        let lease = try await client.acquire("a", "b", boundTo: .pipe(readEnd: pipe.readEnd), ttl: .seconds(60))
        let other = daemon.client()
        let wrong = await #expect(throws: LockdClientError.self) {
            try await other.release("a", token: lease.token + 1)
        }
        #expect(wrong?.code == .notHeld)
        #expect(wrong?.lockName == "a")
        try await other.renew("b", token: lease.token, ttl: .seconds(90))
        guard case .lease(let line) = try #require(daemon.show("a").first) else {
            Issue.record("not a lease")
            return
        }
        #expect(line.timeToLive == .seconds(90))
        try await other.release("b", token: lease.token)
        #expect(try daemon.show("a") == [])
        let again = await #expect(throws: LockdClientError.self) { try await other.renew("a", token: lease.token) }
        #expect(again?.code == .notHeld)
    }

    @Test func waitEndsWithWhatTheLeaseWasToBeBoundTo() async throws {
        let lease = try await client.acquire("a")
        let pipe = try Pipe()
        let readEnd = pipe.readEnd
        let waiting = Task { [client] in try await client.acquire("a", boundTo: .pipe(readEnd: readEnd)) }
        try await daemon.awaitWaiters(1, for: "a")
        pipe.closeWriteEnd()
        let error = await #expect(throws: LockdClientError.self) { try await waiting.value }
        #expect(error?.code == .bindingEnded)
        #expect(!lease.isLost)
        try await lease.release()
    }

    @Test func cancelledTaskLeavesNoWaiter() async throws {
        let lease = try await client.acquire("a")
        let pipe = try Pipe()
        let readEnd = pipe.readEnd
        let waiting = Task { [client] in try await client.acquire("a", boundTo: .pipe(readEnd: readEnd)) }
        try await daemon.awaitWaiters(1, for: "a")
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
        try await client.ping()
        #expect(try daemon.show("a").count == 1)
        try await lease.release()
        #expect(try daemon.show("a") == [])
    }

    @Test func whatCannotBeBoundToIsRefused() async throws {
        let pipe = try Pipe()
        let writeEnd = await #expect(throws: LockdClientError.self) {
            try await client.acquire("a", boundTo: .pipe(readEnd: pipe.writeEnd))
        }
        #expect(writeEnd?.code == .refused)
        #expect(writeEnd?.message.contains("bad-descriptor, got write-end") == true, "\(String(describing: writeEnd))")
        let process = try sleeper()
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
        let reaped = await #expect(throws: LockdClientError.self) {
            try await client.acquire("a", boundTo: .process(process))
        }
        #expect(reaped?.code == .bindingEnded)
        #expect(try daemon.show("a") == [])
    }
}
