import CLinux
import Foundation
import Glibc
import LockdModel
import Logging
import Testing

@testable import LockdServer

@Suite struct SupervisionTests {
    @Test func whoConnectsWhenItIsDecidedThatTheServerEndsIsServed() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/lockd.sock"
        let listener = try Listener(path: path, mode: 0o600)
        defer { close(listener.descriptor) }
        let client = Unchecked<TestClient?>(nil)
        let readings = Unchecked(0)
        let hasCome = DispatchSemaphore(value: 0)
        var configuration = ServerConfiguration(
            socketPath: path,
            socketMode: 0o600,
            stateDirectory: directory.path,
            version: "0.0.0"
        )
        configuration.listeningDescriptor = dup(listener.descriptor)
        configuration.exitWhenIdle = .seconds(10)
        // The clock is read when the server is made and when it begins; then, at an instant at which it has been idle for long enough, before the
        // first turn waits, and when it has waited: that is when the client comes.
        let server = try Server(
            configuration: configuration,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            clock: {
                readings.value += 1
                if readings.value == 4 {
                    client.value = try? TestClient(connectingTo: path)
                    try? client.value?.send("PING\n")
                    hasCome.signal()
                }
                return MonotonicInstant(nanoseconds: readings.value <= 2 ? 0 : Int64(readings.value) * 20_000_000_000)
            }
        )
        let ended = DispatchSemaphore(value: 0)
        let running = Unchecked(server)
        Thread {
            try? running.value.run()
            ended.signal()
        }
        .start()
        hasCome.wait()
        let connected = try #require(client.value)
        var answer: Received?
        repeat { answer = connected.next() } while answer == nil && ended.wait(timeout: .now()) == .timedOut
        try #require(answer == .line("PONG"), "the server has ended")
        // It was not idle; now it is, and ends.
        connected.close()
        ended.wait()
    }

    /// What one thread at a time has.
    private final class Unchecked<Value>: @unchecked Sendable {
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    @Test func anAdoptedSocketStaysWhereItIs() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/lockd.sock"
        let original = try Listener(path: path, mode: 0o600)
        defer { close(original.descriptor) }
        Listener(adopting: dup(original.descriptor)).shutDown()
        #expect(throws: Never.self) { try TestClient(connectingTo: path) }
    }

    @Test func aUserThatWasFullGoesOnWhenItMayHaveMore() {
        var limits = Limits()
        limits.bytesPerUser = 65_536
        let fixture = ServiceFixture(limits: limits)
        let session = fixture.open()
        // Notes that nobody reads.
        let note = String(repeating: "n", count: 256)
        for number in 0..<60 { fixture.send("ACQUIRE \(number) note=\(note)", from: session) }
        fixture.takeTurn(reading: [session])
        fixture.sendBytes(String(repeating: "x", count: 8000), from: session)
        fixture.sendBytes(String(repeating: "x", count: 4000), from: session)
        #expect(fixture.settleUsers() == [])
        limits.bytesPerUser = 40_000
        fixture.change(limits)
        #expect(fixture.settleUsers() == [UserID(1000)])
        #expect(session.user.isFull)
        limits.bytesPerUser = 1 << 20
        fixture.change(limits)
        _ = fixture.settleUsers()
        #expect(!session.user.isFull)
    }
}
