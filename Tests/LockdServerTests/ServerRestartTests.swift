import CLinux
import Foundation
import LockdCore
import LockdModel
import Logging
import Testing

@testable import LockdServer

/// One server ends, and the next one goes on in the same directory.
@Suite struct ServerRestartTests {
    private let directory: TemporaryDirectory
    private let store = KeepingStore()
    private let daemon = Daemon()

    init() throws { directory = try TemporaryDirectory() }

    /// The server that runs, and nobody else's: it has locks until it is gone.
    private final class Daemon {
        var running: RunningServer?
    }

    private func start(keepsSockets: Bool = false) throws {
        daemon.running = try RunningServer(
            in: directory,
            store: keepsSockets ? store : nil,
            kept: keepsSockets ? store.handOver() : []
        )
    }

    private func stop() {
        daemon.running?.stop()
        daemon.running = nil
    }

    /// Ends the server, and starts the next one.
    private func restart(keepsSockets: Bool = false, meanwhile body: () throws -> Void = {}) throws {
        stop()
        try body()
        let deadline = ContinuousClock.now + .seconds(20)
        while daemon.running == nil {
            do {
                try start(keepsSockets: keepsSockets)
            } catch {
                // The thread of the former one may not be gone yet, which has the locks.
                guard ContinuousClock.now < deadline else { throw error }
                sched_yield()
            }
        }
    }

    private func settle() { daemon.running?.settle() }

    private func connect() throws -> TestClient {
        try TestClient(connectingTo: directory.path + "/lockd.sock")
    }

    private func lines(_ client: TestClient) -> [String] {
        var lines: [String] = []
        while case .line(let line)? = client.next() { lines.append(line) }
        return lines
    }

    private func ask(_ text: String, _ client: TestClient) throws -> [String] {
        try client.send(text)
        settle()
        return lines(client)
    }

    @Test func sessionThatHasSaidHelloIsResumedWithItsLease() throws {
        try start()
        defer { stop() }
        let first = try connect()
        let said = try ask("HELLO\nACQUIRE a\n", first)
        #expect(said.first?.contains(" session=1 ") == true)
        let token = try #require(said.last?.split(separator: "=").last)
        try restart()
        #expect(first.next() == .end)
        let second = try connect()
        let resumed = try ask("#h HELLO resume=1\n#r RELEASE a\n", second)
        #expect(resumed.first?.hasPrefix("#h WELCOME ") == true)
        #expect(resumed.first?.contains(" session=1 ") == true)
        #expect(resumed.first?.hasSuffix(" leases=1 waiters=0") == true)
        #expect(resumed.dropFirst() == ["#r RELEASED a token=\(token)"])
    }

    @Test func sessionThatHasNotSaidHelloEndsWithItsConnection() throws {
        try start()
        defer { stop() }
        let first = try connect()
        _ = try ask("ACQUIRE a\n", first)
        try restart()
        let second = try connect()
        #expect(try ask("HELLO resume=1\nTRY\nLIST\n", second).last == "END")
    }

    @Test func whatASessionWasToldAndHasNotReadComesBehindItsWelcomeHoweverManyDaemonsEnd() throws {
        try start()
        defer { stop() }
        let (first, other) = (try connect(), try connect())
        _ = try ask("HELLO\n#1 ACQUIRE a\n", first)
        _ = try ask("HELLO\n", other)
        for _ in 0..<3 {
            try restart()
            // What is said while nobody is there.
            let revoker = try connect()
            let name = try ask("SHOW a\n", revoker)
            if name.count > 1 { _ = try ask("REVOKE a\n", revoker) }
        }
        try restart()
        let second = try connect()
        let resumed = try ask("HELLO resume=1\n", second)
        #expect(resumed.count == 2)
        #expect(resumed.last?.hasPrefix("* LOST a token=") == true)
    }

    @Test func whatIsLeftInTheFirstConnectionIsDoneBeforeTheSecondTakesItsPlace() throws {
        try start()
        defer { stop() }
        let (first, second) = (try connect(), try connect())
        _ = try ask("HELLO\n", first)
        _ = try ask("HELLO\n", second)
        let third = try connect()
        // Both come in the same turn, perhaps; in whatever order they are looked at.
        try first.send("#1 ACQUIRE a\n#2 ACQ")
        try third.send("HELLO resume=1\n#3 RELEASE a\n")
        settle()
        let (old, new) = (lines(first), lines(third))
        #expect(new.first?.hasPrefix("WELCOME ") == true)
        #expect((old + new).count { $0.hasPrefix("#1 GRANTED a ") } == 1)
        #expect(new.last?.hasPrefix("#3 RELEASED a ") == true)
        #expect(first.next() == nil || first.next() == .end)
    }

    @Test func sessionGoesOnWithASocketThatWasKept() throws {
        try start(keepsSockets: true)
        defer { stop() }
        let (client, waiter) = (try connect(), try connect())
        let granted = try ask("ACQUIRE a\n", client)
        _ = try ask("ACQUIRE a\n", waiter)
        try restart(keepsSockets: true) { try client.send("RELEASE a\n") }
        // Nobody has to do anything for that.
        #expect(client.awaitLine() == "* RESTORED session=1 leases=1 waiters=0")
        #expect(waiter.awaitLine() == "* RESTORED session=2 leases=0 waiters=1")
        #expect(client.awaitLine()?.hasPrefix("RELEASED a token=") == true)
        let next = waiter.awaitLine()
        #expect(next?.hasPrefix("GRANTED a token=") == true)
        #expect(granted.count == 1 && granted.first != next)
    }

    @Test func nobodyIsToldAgainWhenTheDaemonRestartsTwice() throws {
        try start(keepsSockets: true)
        defer { stop() }
        let client = try connect()
        _ = try ask("ACQUIRE a\n", client)
        for _ in 0..<3 {
            try restart(keepsSockets: true)
            #expect(client.awaitLine() == "* RESTORED session=1 leases=1 waiters=0")
            settle()
            #expect(lines(client).isEmpty)
        }
    }

    @Test func restoredServerTellsWhatItCouldBeToldThoughNothingHappens() throws {
        try start(keepsSockets: true)
        defer { stop() }
        let client = try connect()
        _ = try ask("PING\n", client)
        try restart(keepsSockets: true)
        #expect(client.awaitLine() == "* RESTORED session=1 leases=0 waiters=0")
    }

    // MARK: Logs that were written by hand

    /// A log beside the socket, of this boot, and a connection that was kept for a session.
    private func leave(_ session: UInt64, _ write: (WriteAheadLog) throws -> Void) throws -> ConnectedSockets {
        let sockets = try ConnectedSockets()
        let log = try WriteAheadLog(
            path: directory.path + "/lockd.sock.log",
            origin: .current(),
            capacity: 1 << 22
        )
        try write(log)
        log.commit(nextToken: FencingToken(100), lastSession: SessionID(session))
        try log.publish()
        let bag = DescriptorBag(
            store,
            former: [],
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            contents: { [] }
        )
        bag.renew()
        bag.put(sockets.near, .init(session: SessionID(session), isBound: false))
        close(sockets.near)
        return sockets
    }

    private func readToEnd(_ socket: CInt) -> String {
        var (text, buffer) = ("", [UInt8](repeating: 0, count: 1 << 16))
        while true {
            var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard retryingOnInterrupt({ poll(&entry, 1, 20_000) }) == 1 else { return text + "(and no end)" }
            let count = recv(socket, &buffer, buffer.count, CInt(MSG_DONTWAIT))
            if count <= 0 { return text }
            text += String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    @Test func sessionThatHasEndedReadsItsLastWordsAndTheEnd() throws {
        // More than a socket takes.
        let words = String(repeating: "PONG\n", count: 100_000)
        let sockets = try leave(7) { log in
            #expect(Array(words.utf8).withUnsafeBytes { log.appendFarewell($0, of: SessionID(7), in: 0) })
        }
        defer { close(sockets.far) }
        try start(keepsSockets: true)
        defer { stop() }
        #expect(readToEnd(sockets.far) == words)
    }

    @Test func connectionOfASessionThatHasEndedAndHasLeasesStillIsClosed() throws {
        let sockets = try leave(7) { log in
            log.append(LogRecord.Session(7, endedAt: MonotonicInstant(nanoseconds: 0)), in: 0)
            log.append(try ClaimRecord("a", of: 7, token: 5), in: 0)
        }
        defer { close(sockets.far) }
        try start(keepsSockets: true)
        defer { stop() }
        #expect(readToEnd(sockets.far).isEmpty)
        let client = try connect()
        #expect(try ask("ACQUIRE a\n", client).first?.hasPrefix("GRANTED a token=") == true)
    }

    @Test func connectionThatNobodyHadTakenNoteOfIsServed() throws {
        let sockets = try leave(7) { _ in }
        defer { close(sockets.far) }
        try start(keepsSockets: true)
        defer { stop() }
        #expect(send(sockets.far, "QUIT\n", 5, 0) == 5)
        #expect(readToEnd(sockets.far) == "BYE\n")
    }
}
