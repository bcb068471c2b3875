import CLinux
import CUnix
import Foundation
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// Runs `body` on a thread of its own: it may block.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    let result = Guarded<Swift.Result<Result, any Error>?>(nil)
    await withCheckedContinuation { continuation in
        let number = ReaderThread.start {
            let made = Swift.Result { try body() }
            result.withLock { $0 = made }
            continuation.resume()
        }
        precondition(number == 0, "no thread: \(number)")
    }
    guard let result = result.withLock({ $0 }) else { preconditionFailure("the thread has left nothing") }
    return try result.get()
}

/// Clients for threads, with the real daemon.
@Suite(.timeLimit(.minutes(5))) struct BlockingTests {
    private let daemon: Daemon
    private let client: BlockingLockdClient

    init() throws {
        daemon = try Daemon()
        client = BlockingLockdClient(socket: daemon.socket)
    }

    private func revoke(_ name: String) throws {
        let answer = try daemon.session().ask(.revoke(LockName(name), token: nil, reason: nil))
        guard case .revoked = answer else { throw Daemon.Failure(description: "\(answer)") }
    }

    /// Returns when the lease on `name` has more time left than a moment ago.
    private func awaitRenewal(of name: String) async throws {
        var former = Milliseconds.maximum
        while true {
            guard case .lease(let line)? = try daemon.show(name).first, let left = line.left else {
                throw Daemon.Failure(description: "\(name) is not held for a limited time")
            }
            if left > former { return }
            former = left
            await Task.yield()
        }
    }

    @Test func threadsOfOneClientExcludeEachOther() async throws {
        let room = Room()
        try await withThrowingDiscardingTaskGroup { group in
            for _ in 0..<64 {
                group.addTask { [client] in
                    try await onThread {
                        for _ in 0..<10 {
                            try client.withLease("counter") { _ in
                                room.enter()
                                room.leave()
                            }
                        }
                    }
                }
            }
        }
        #expect(room.visits == 640)
        #expect(room.mostAtATime == 1)
        #expect(try daemon.show("counter") == [])
    }

    @Test func threadsThatWaitAreGrantedInOrder() async throws {
        let first = try client.acquire("a")
        var waiting: [Task<UInt64, any Error>] = []
        for position in 1...8 {
            waiting.append(Task { [client] in try await onThread { try client.withLease("a") { $0.token } } })
            try await daemon.awaitWaiters(position, for: "a")
        }
        try first.release()
        var tokens = [first.token]
        for task in waiting { tokens.append(try await task.value) }
        #expect(tokens == tokens.sorted())
        #expect(Set(tokens).count == 9)
    }

    @Test func severalNamesAreOneLease() throws {
        let lease = try client.acquire("a", "b", note: "both", progress: nil)
        #expect(lease.names == ["a", "b"])
        #expect(lease.name == "a")
        #expect(try client.tryAcquire("b") == nil)
        #expect("\(lease)" == "a, b (token \(lease.token))")
        try lease.release()
        let next = try #require(try client.tryAcquire(["b"], mode: .shared))
        #expect(next.token > lease.token)
        try next.release()
        try next.release()
        #expect(try client.history(of: "a").map(\.token) == [lease.token])
    }

    @Test func requestsThatFailSayWhy() throws {
        let lease = try client.acquire("a", owner: "me")
        let late = #expect(throws: LockdClientError.self) { try client.acquire("a", waitTimeout: .milliseconds(1)) }
        #expect(late?.code == .waitTimedOut)
        let again = #expect(throws: LockdClientError.self) { try client.acquire("a", owner: "me") }
        #expect(again?.code == .alreadyHeld)
        let empty = #expect(throws: LockdClientError.self) { try client.acquire("") }
        #expect(empty?.code == .invalidName)
        try lease.release()
    }

    @Test func withLeaseReleasesWhenItsBodyThrows() throws {
        struct Failure: Error {}
        #expect(throws: Failure.self) { try client.withLease("a") { _ in throw Failure() } }
        #expect(try daemon.show("a") == [])
    }

    @Test func daemonThatIsNotThereIsNamed() throws {
        let client = BlockingLockdClient(socket: daemon.directory + "/none.sock")
        let error = #expect(throws: LockdClientError.self) { try client.acquire("a") }
        #expect(error?.code == .daemonUnavailable)
        #expect(error?.message.contains("none.sock") == true)
    }

    private func listeningSocket(at path: String) throws -> CInt {
        let listener = cunix_stream_socket(false)
        try #require(clinux_bind_unix(listener, path, path.utf8.count) == 0)
        try #require(listen(listener, 16) == 0)
        return listener
    }

    // MARK: While others wait

    @Test func whoLooksAtItsProgressIsNotExpectedToRead() async throws {
        let holder = try daemon.session()
        let names = try ["first", "looked-at", "last"].map { try LockName($0) }
        for name in names { _ = try holder.ask(.acquire(AcquireTerms(names: LockNames(name)))) }
        // The first one to wait reads for all.
        let first = Task { [client] in try await onThread { try client.acquire("first").release() } }
        try await daemon.awaitWaiters(1, for: "first")
        let (looking, isOver) = (Room(), Flag())
        let lookers = (0..<5).map { _ in
            Task { [client] in
                try await onThread {
                    let progress = WaitReports.every(.seconds(1)) { _ in
                        looking.enter()
                        isOver.wait()
                    }
                    try client.acquire("looked-at", mode: .shared, progress: progress).release()
                }
            }
        }
        while looking.visits < lookers.count { await Task.yield() }
        let last = Task { [client] in try await onThread { try client.acquire("last").release() } }
        try await daemon.awaitWaiters(1, for: "last")
        for (name, waiting) in [(names[0], first), (names[2], last)] {
            _ = try holder.ask(.release(name, token: nil))
            try await waiting.value
        }
        isOver.raise()
        _ = try holder.ask(.release(names[1], token: nil))
        for looker in lookers { try await looker.value }
    }

    @Test func fullSocketIsWaitedForAlthoughNothingArrives() async throws {
        let holder = try daemon.session()
        _ = try holder.ask(.acquire(AcquireTerms(names: LockNames(LockName("held")))))
        let reader = Task { [client] in try await onThread { try client.acquire("held").release() } }
        try await daemon.awaitWaiters(1, for: "held")
        daemon.suspend()
        // Far fewer than these fill the socket.
        let (threads, asking) = (150, Room())
        let waiting = (0..<threads).map { _ in
            Task { [client] in
                try await onThread {
                    let others = (0..<14).map { "\($0)" + String(repeating: "n", count: 250) }
                    asking.enter()
                    try client.acquire(["held"] + others).release()
                }
            }
        }
        while asking.visits < threads { await Task.yield() }
        daemon.resume()
        try await daemon.awaitWaiters(threads + 1, for: "held")
        _ = try holder.ask(.release(LockName("held"), token: nil))
        for waiting in waiting { try await waiting.value }
        try await reader.value
    }

    @Test func closeAnswersWhoWaits() async throws {
        let lease = try client.acquire("a")
        let waiting = Task { [client] in try await onThread { try client.acquire("a").token } }
        try await daemon.awaitWaiters(1, for: "a")
        client.close()
        #expect(try daemon.show("a") == [])
        let error = await #expect(throws: LockdClientError.self) { try await waiting.value }
        #expect(error?.code == .closed)
        #expect(lease.isLost)
        #expect(throws: LockdClientError.closed) { try client.ping() }
    }

    @Test func droppedClientDisconnects() async throws {
        func useAndDrop() throws { try BlockingLockdClient(socket: daemon.socket).ping() }
        try useAndDrop()
        while try daemon.session().sessionCount() > 1 { await Task.yield() }
    }

    @Test func closeDoesNotWaitForASuspendedDaemonForEver() async throws {
        let lease = try client.acquire("a")
        var waiting: [Task<UInt64, any Error>] = []
        for position in 1...3 {
            waiting.append(Task { [client] in try await onThread { try client.acquire("a").token } })
            try await daemon.awaitWaiters(position, for: "a")
        }
        daemon.suspend()
        try await onThread { [client] in client.close() }
        for waiting in waiting {
            let error = await #expect(throws: LockdClientError.self) { try await waiting.value }
            #expect(error?.code == .closed)
        }
        #expect(lease.isLost)
        daemon.resume()
        while try !daemon.show("a").isEmpty { await Task.yield() }
    }

    @Test func closeWithoutADaemonIsDelivered() async throws {
        _ = try client.acquire("a")
        daemon.end()
        try await onThread { [client] in client.close() }
        try daemon.start()
        while try !daemon.show("a").isEmpty { await Task.yield() }
    }

    @Test func nothingIsLeftOfAClientThatWasDropped() async throws {
        weak var shell: BlockingShell?
        func use(_ body: @escaping @Sendable (BlockingLockdClient) throws -> Void) async throws {
            let client = BlockingLockdClient(socket: daemon.socket)
            shell = try client.shell.get()
            try await onThread { try body(client) }
        }
        try await use { try $0.acquire("a", ttl: .seconds(3600)).release() }
        while shell != nil { await Task.yield() }

        let holder = try client.acquire("b")
        try await use { client in
            // Its own release, while it looks at how it waits, is what it waits for.
            let progress = WaitReports.every(.seconds(1)) { _ in try? holder.release() }
            try client.acquire("b", progress: progress).release()
        }
        while shell != nil { await Task.yield() }
    }

    // MARK: Loss

    @Test func lossIsSeenByWhoLooks() throws {
        let lease = try client.acquire("a")
        #expect(!lease.isLost)
        try revoke("a")
        #expect(lease.isLost)
        #expect(try lease.lost()?.reason == .revoked)
        let error = #expect(throws: LockdClientError.self) { try lease.release() }
        #expect(error?.loss?.reason == .revoked)
    }

    @Test func lossWakesWhoWaitsForIt() async throws {
        let lease = try client.acquire("a")
        let waiting = [
            Task { try await onThread { try lease.lost()?.reason } },
            Task { try await onThread { try lease.lost(within: .seconds(50))?.reason } },
        ]
        let other = try client.acquire("b")
        try revoke("a")
        for waiting in waiting { #expect(try await waiting.value == .revoked) }
        #expect(try other.lost(within: .milliseconds(1)) == nil)
        try other.release()
        #expect(try other.lost() == nil)
    }

    @Test func whatHasArrivedCountsWhenTheTimeIsUp() throws {
        let lease = try client.acquire("a")
        try revoke("a")
        #expect(try lease.lost(within: .zero)?.reason == .revoked)
    }

    @Test func everythingThatHasArrivedIsLookedAt() throws {
        // More than one read takes, and less than the pipe holds into which the daemon says whom it revoked.
        let names = (100..<180).map { "\($0)" + String(repeating: "n", count: 252) }
        let leases = try names.map { try client.acquire($0) }
        for name in names { try revoke(name) }
        #expect(leases[79].isLost)
    }

    @Test func bodyThatReturnsAfterALossDidNotSucceed() throws {
        let error = #expect(throws: LockdClientError.self) { try client.withLease("a") { _ in try revoke("a") } }
        #expect(error?.code == .leaseLost)
    }

    @Test func leaseIsRenewedWhileNobodyAsksForAnything() async throws {
        let lease = try client.acquire("a", ttl: .milliseconds(1500))
        for _ in 0..<2 { try await awaitRenewal(of: "a") }
        #expect(!lease.isLost)
        try lease.release()
    }

    // MARK: Restarts

    @Test(arguments: [SIGKILL, SIGTERM]) func leasesAndWaitsOutliveTheDaemon(_ signal: CInt) async throws {
        let lease = try client.acquire("a")
        let temporary = try client.acquire("c", ttl: .seconds(10))
        var waiting: [Task<UInt64, any Error>] = []
        for position in 1...4 {
            waiting.append(Task { [client] in try await onThread { try client.withLease("a") { $0.token } } })
            try await daemon.awaitWaiters(position, for: "a")
        }
        for _ in 0..<2 { try daemon.restart(signal) }
        try await daemon.awaitWaiters(4, for: "a")
        try lease.release()
        var tokens = [lease.token]
        for waiting in waiting { tokens.append(try await waiting.value) }
        #expect(tokens == tokens.sorted())
        try temporary.release()
        #expect(try daemon.show("c") == [])
    }

    @Test func releaseWhileThereIsNoDaemonIsDelivered() async throws {
        let lease = try client.acquire("a")
        daemon.end()
        let isAsking = Flag()
        let releasing = Task {
            try await onThread {
                isAsking.raise()
                try lease.release()
            }
        }
        while !isAsking.isRaised { await Task.yield() }
        try daemon.start()
        try await releasing.value
        #expect(try daemon.show("a") == [])
    }

    @Test func tryGivesUpWithoutADaemonAndNothingComesOfIt() async throws {
        let lease = try client.acquire("a")
        daemon.end()
        let error = #expect(throws: LockdClientError.self) { try client.tryAcquire("b") }
        #expect(error?.code == .daemonUnavailable)
        try daemon.start()
        try lease.release()
        #expect(try daemon.show("b") == [])
    }

    @Test func nobodyWaitsForADaemonThatIsOnlyAListeningSocket() async throws {
        let lease = try client.acquire("a")
        daemon.end()
        // As a socket unit does it whose daemon does not come up: connections are accepted, and nothing is said on them.
        unlink(daemon.socket)
        let listener = try listeningSocket(at: daemon.socket)
        let releasing = Task { try await onThread { try lease.release() } }
        let waiting = Task { [client] in try await onThread { try client.acquire("b").token } }
        let clock = ContinuousClock()
        let start = clock.now
        let error = try await onThread { [client] in #expect(throws: LockdClientError.self) { try client.ping() } }
        #expect(error?.code == .daemonUnavailable)
        #expect(clock.now - start >= .seconds(2))
        try await onThread { [client] in client.close() }
        let closed = await #expect(throws: LockdClientError.self) { try await waiting.value }
        #expect(closed?.code == .closed)
        _ = await releasing.result
        close(listener)
    }

    @Test func leaseWithATimeToLiveIsRenewedByTheNextDaemonToo() async throws {
        let lease = try client.acquire("a", ttl: .milliseconds(1500))
        try daemon.restart()
        // Nobody asks for anything: it is the renewal that finds the next daemon.
        for _ in 0..<2 { try await awaitRenewal(of: "a") }
        #expect(!lease.isLost)
        try lease.release()
    }

    // MARK: Bound leases, forks

    @Test func boundLeaseIsNotTheClients() throws {
        let lease = try client.acquire(["a"], boundTo: .process(getpid()), ttl: .seconds(60))
        client.close()
        #expect(try daemon.show("a").count == 1)
        let next = BlockingLockdClient(socket: daemon.socket)
        try next.renew("a", token: lease.token, ttl: .seconds(90))
        try next.release("a", token: lease.token)
        #expect(throws: LockdClientError.self) { try next.release("a", token: lease.token) }
    }

    @Test func clientOfAnotherProcessRefusesEverything() throws {
        let shell = BlockingShell(path: daemon.socket, process: getppid())
        let client = BlockingLockdClient(shell: shell)
        #expect(throws: LockdClientError.forked) { try client.acquire("a") }
        client.close()
        let lease = BlockingLease(names: ["a"], token: FencingToken(7), previous: nil, shell: shell)
        #expect(lease.isLost)
        #expect(try lease.lost()?.reason == .forked)
        #expect(throws: LockdClientError.forked) { try lease.release() }
    }
}

extension BlockingConnection {
    /// How many sessions the daemon has, this one included.
    fileprivate func sessionCount() throws -> Int {
        send(.stats)
        while true {
            guard case .statistic(let key, let value) = try receive() else {
                throw Daemon.Failure(description: "no count of sessions")
            }
            if key == "sessions", let count = Int(value) { return count }
        }
    }
}
