import CLinux
import CUnix
import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// The connection of a client: shared, full, closed, dropped, inherited.
@Suite(.timeLimit(.minutes(5))) struct ConnectionTests {
    private let daemon: Daemon
    private let client: LockdClient

    init() throws {
        daemon = try Daemon()
        client = daemon.client()
    }

    /// The sessions of the daemon, without the one that asks.
    private func sessionCount() throws -> Int {
        let session = try daemon.session()
        session.send(.stats)
        while true {
            guard case .statistic(let key, let value) = try session.receive() else {
                throw Daemon.Failure(description: "no count of sessions")
            }
            if key == "sessions", let count = Int(value) { return count - 1 }
        }
    }

    @Test func tasksShareOneConnection() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<20 { group.addTask { [client] in try await client.ping() } }
        }
        #expect(try sessionCount() == 1)
    }

    @Test func nothingIsConnectedBeforeItIsNeeded() throws {
        #expect(try sessionCount() == 0)
    }

    @Test func fullSocketIsWaitedForByNobody() async throws {
        try await client.ping()
        daemon.suspend()
        // Each write costs the kernel a buffer of its own, so that far fewer than these fill the socket.
        let count = 3000
        let asking = Room()
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<count {
                group.addTask { [client] in
                    asking.enter()
                    try await client.ping()
                }
            }
            while asking.visits < count { await Task.yield() }
            daemon.resume()
        }
    }

    @Test func refusedSessionIsSaidSoHoweverItIsNoticed() async throws {
        let daemon = try Daemon(configuration: "limits:\n  sessions: 1\n")
        let occupant = daemon.client()
        try await occupant.ping()
        let client = daemon.client()
        // Sometimes it is the write that fails, sometimes the answer is there before it.
        for _ in 0..<100 {
            let error = await #expect(throws: LockdClientError.self) { try await client.acquire("a") }
            #expect(error?.code == .limitReached)
            #expect(error?.lockName == "a")
        }
        await occupant.close()
        try await client.ping()
    }

    // MARK: The end

    @Test func closeFreesTheLocksAndAnswersWhoWaits() async throws {
        let lease = try await client.acquire("a")
        let waiting = Task { [client] in try await client.acquire("a") }
        try await daemon.awaitWaiters(1, for: "a")
        await client.close()
        #expect(try daemon.show("a") == [])
        #expect(await lease.lost()?.reason == .closed)
        let error = await #expect(throws: LockdClientError.self) { try await waiting.value }
        #expect(error?.code == .closed)
        await #expect(throws: LockdClientError.closed) { try await client.ping() }
        await client.close()
    }

    @Test func closeFreesTheLocksInACancelledTask() async throws {
        _ = try await client.acquire("a")
        let task = Task { [client] in
            withUnsafeCurrentTask { $0?.cancel() }
            await client.close()
        }
        await task.value
        while try !daemon.show("a").isEmpty { await Task.yield() }
    }

    @Test func closeDoesNotWaitForASuspendedDaemonForEver() async throws {
        try await client.ping()
        daemon.suspend()
        let closing = Task { [client] in await client.close() }
        closing.cancel()
        await closing.value
        daemon.resume()
    }

    @Test func droppedClientDisconnects() async throws {
        func useAndDrop() async throws { try await daemon.client().ping() }
        try await useAndDrop()
        while try sessionCount() != 0 { await Task.yield() }
    }

    @Test func droppedClientDisconnectsAfterItsLastLease() async throws {
        func acquireAndDrop() async throws -> Lease { try await daemon.client().acquire("a") }
        let lease = try await acquireAndDrop()
        #expect(try sessionCount() == 1)
        try await lease.release()
        while try sessionCount() != 0 { await Task.yield() }
    }

    // MARK: The backlog

    /// A socket with room for one connection in its backlog, which is taken.
    private func fullSocket() throws -> (listener: CInt, path: String, occupant: BlockingConnection) {
        let path = daemon.directory + "/backlog.sock"
        let listener = cunix_stream_socket(true)
        try #require(clinux_bind_unix(listener, path, path.utf8.count) == 0 && listen(listener, 0) == 0)
        return (listener, path, try BlockingConnection(path: path))
    }

    @Test func fullBacklogIsWaitedForAsLongAsAllowed() async throws {
        let (listener, path, occupant) = try fullSocket()
        defer { close(listener) }
        let client = LockdClient(shell: ClientShell(path: path, connectTimeout: Milliseconds(20)))
        let error = await #expect(throws: LockdClientError.self) { try await client.ping() }
        #expect(error?.code == .daemonUnavailable)
        #expect(error?.message.contains("accepted no connection in time") == true)
        withExtendedLifetime(occupant) {}
    }

    @Test func roomInTheBacklogIsTaken() async throws {
        let (listener, path, occupant) = try fullSocket()
        defer { close(listener) }
        let client = LockdClient(socket: path)
        let asking = Task { try await client.ping() }
        close(clinux_accept(listener))
        var accepted: CInt = -1
        while accepted == -1 {
            await Task.yield()
            accepted = clinux_accept(listener)
        }
        close(accepted)
        let error = await #expect(throws: LockdClientError.self) { try await asking.value }
        #expect(error?.code == .connectionLost)
        withExtendedLifetime(occupant) {}
    }
}
