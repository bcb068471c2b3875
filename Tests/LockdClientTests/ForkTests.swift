import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// What a forked child can do with its parent's client: nothing.
@Suite(.timeLimit(.minutes(5))) struct ForkTests {
    private let daemon: Daemon

    init() throws {
        daemon = try Daemon()
    }

    /// Runs `child` in a forked child, which ends with the status that it returns.
    ///
    /// Swift hides fork() because hardly anything may be used in the child of a program with threads; `child` must not even allocate.
    private func fork(_ child: () -> CInt) throws -> pid_t {
        typealias Fork = @convention(c) () -> pid_t
        let fork = unsafeBitCast(try #require(dlsym(nil, "fork")), to: Fork.self)
        let process = fork()
        if process == 0 { _exit(child()) }
        return process
    }

    private func exitStatus(of process: pid_t) -> CInt {
        var status: CInt = 0
        waitpid(process, &status, 0)
        return status >> 8 & 0xFF
    }

    @Test func leaseIsLostInTheChildAndGoesOnInTheParent() async throws {
        let client = daemon.client()
        let lease = try await client.acquire("a")
        let child = try fork { lease.isLost ? 42 : 1 }
        #expect(exitStatus(of: child) == 42)
        try await client.ping()
        #expect(!lease.isLost)
        #expect(try daemon.show("a").count == 1)
        try await lease.release()
    }

    @Test func inheritedSocketKeepsNoLeaseAlive() async throws {
        let client = daemon.client()
        _ = try await client.acquire("a")
        let child = try fork {
            while true { pause() }
        }
        // In a cancelled task, so that it is the end of the connection and not a word to the daemon that ends the session.
        await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            await client.close()
        }.value
        while try !daemon.show("a").isEmpty { await Task.yield() }
        kill(child, SIGKILL)
        _ = exitStatus(of: child)
    }

    @Test func clientOfAnotherProcessRefusesEverything() async throws {
        let shell = ClientShell(path: daemon.socket, process: getppid())
        let client = LockdClient(shell: shell)
        await #expect(throws: LockdClientError.forked) { try await client.acquire("a") }
        await #expect(throws: LockdClientError.forked) { try await client.ping() }
        await client.close()
        let lease = Lease(names: ["a"], token: FencingToken(7), previous: nil, shell: shell)
        #expect(lease.isLost)
        #expect(await lease.lost()?.reason == .forked)
        await #expect(throws: LockdClientError.forked) { try await lease.release() }
    }
}
