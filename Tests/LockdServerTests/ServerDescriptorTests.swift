import Glibc
import LockdModel
import Testing

@testable import LockdServer

/// What a whole server does with descriptors that nobody asked for.
@Suite struct ServerDescriptorTests {
    private let server: RunningServer

    init() throws {
        server = try RunningServer()
    }

    @Test func descriptorThatNoLineClaimsIsClosed() throws {
        defer { server.stop() }
        let (client, pipe) = (try connect(), try Pipe())
        try client.send("PING\nPING\n", with: [pipe.readEnd])
        pipe.closeReadEnd()
        server.settle()
        #expect(lines(client) == ["PONG", "PONG"])
        #expect(pipe.losesItsReaders())
    }

    @Test func descriptorWaitsForTheRestOfItsLine() throws {
        defer { server.stop() }
        let (client, pipe) = (try connect(), try Pipe())
        try client.send("PI", with: [pipe.readEnd])
        pipe.closeReadEnd()
        server.settle()
        #expect(!pipe.losesItsReaders(within: 0))
        try client.send("NG\n")
        server.settle()
        #expect(lines(client) == ["PONG"])
        #expect(pipe.losesItsReaders())
    }

    @Test func descriptorBehindALineThatWaitsIsClosedWhenItsLineWasTaken() throws {
        defer { server.stop() }
        let (holder, waiter, pipe) = (try connect(), try connect(), try Pipe())
        try holder.send("ACQUIRE db\n")
        server.settle()
        try waiter.send("ACQUIRE db\nPING\n", with: [pipe.readEnd])
        pipe.closeReadEnd()
        server.settle()
        #expect(!pipe.losesItsReaders(within: 0))
        try holder.send("RELEASE db\n")
        server.settle()
        #expect(lines(waiter).map { $0.prefix(4) } == ["GRAN", "PONG"])
        #expect(pipe.losesItsReaders())
    }

    @Test func descriptorOfALineThatIsTooLongIsClosed() throws {
        defer { server.stop() }
        let (client, pipe) = (try connect(), try Pipe())
        try client.send(String(repeating: "x", count: 9000), with: [pipe.readEnd])
        pipe.closeReadEnd()
        server.settle()
        #expect(pipe.losesItsReaders())
        try client.send("\nPING\n")
        server.settle()
        #expect(lines(client).last == "PONG")
    }

    @Test(arguments: [true, false])
    func sessionThatEndsLeavesNone(_ quits: Bool) throws {
        defer { server.stop() }
        let (client, pipe) = (try connect(), try Pipe())
        if quits { try client.send("QUIT\n") }
        for _ in 0..<20 { try? client.send("PI", with: [pipe.readEnd]) }
        pipe.closeReadEnd()
        client.close()
        #expect(pipe.losesItsReaders())
    }

    @Test func connectionThatIsRefusedLeavesNone() throws {
        var limits = Limits()
        limits.sessions = 1
        limits.reservedSessions = 0
        let crowded = try RunningServer(limits: limits)
        defer {
            crowded.stop()
            server.stop()
        }
        let first = try TestClient(connectingTo: crowded.socketPath)
        crowded.settle()
        let (second, pipe) = (try TestClient(connectingTo: crowded.socketPath), try Pipe())
        try? second.send("PING\n", with: [pipe.readEnd])
        pipe.closeReadEnd()
        #expect(pipe.losesItsReaders())
        withExtendedLifetime(first) {}
    }

    @Test func serverThatStopsLeavesNone() throws {
        let (client, pipe) = (try connect(), try Pipe())
        try client.send("PI", with: [pipe.readEnd])
        server.settle()
        for _ in 0..<5 { try? client.send("N", with: [pipe.readEnd]) }
        pipe.closeReadEnd()
        server.stop()
        #expect(pipe.losesItsReaders())
    }

    @Test func descriptorsThatCannotBeClosedHoldUpNobody() throws {
        defer { server.stop() }
        let sockets = try (0..<3).map { _ in try LingeringSocket() }
        let (holder, sender) = (try connect(), try connect())
        try holder.send("ACQUIRE db\n")
        server.settle()
        try sender.send("ACQUIRE db\n")
        server.settle()
        // While it waits the sender is not read from, so that here none of these is closed for good.
        try sender.send("PING\n", with: [sockets[0].descriptor])
        try sender.send("PI", with: [sockets[1].descriptor])
        try sender.send("NG", with: [sockets[2].descriptor])
        for socket in sockets { close(socket.takeDescriptor()) }
        try holder.send("RELEASE db\n")
        server.settle()
        #expect(lines(sender).map { $0.prefix(4) } == ["GRAN", "PONG"])
        sender.close()
        server.settle()
        try holder.send("PING\n")
        server.settle()
        #expect(lines(holder).last == "PONG")
        sockets.forEach { $0.letGo() }
    }

    private func connect() throws -> TestClient { try TestClient(connectingTo: server.socketPath) }

    private func lines(_ client: TestClient) -> [String] {
        var lines: [String] = []
        while case .line(let line) = client.next() { lines.append(line) }
        return lines
    }
}
