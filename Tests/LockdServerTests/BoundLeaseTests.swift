import CLinux
import Glibc
import LockdModel
import Testing

@testable import LockdServer

/// Leases that live as long as a process, or as a pipe is open, in a whole server.
@Suite struct BoundLeaseTests {
    private let server: RunningServer

    init() throws {
        server = try RunningServer()
    }

    @Test func leaseOutlivesItsSessionAndEndsWithItsProcess() throws {
        defer { server.stop() }
        let (asker, waiter, child) = (try connect(), try connect(), try Child(named: "backup"))
        let token = try bind("a", to: child, by: asker)
        asker.close()
        try waiter.send("ACQUIRE a\n")
        server.settle()
        #expect(lines(waiter).isEmpty)
        child.kill()
        awaitLine(waiter) { line in
            #expect(line.hasPrefix("GRANTED a token="))
            #expect(line.contains(" previous=ended previous-token=\(token) previous-pid=\(child.process) "))
            #expect(line.contains(" previous-command=backup "))
        }
    }

    @Test func leaseShowsItsProcessAndWhatItIsBoundTo() throws {
        defer { server.stop() }
        let (asker, child) = (try connect(), try Child(named: "backup"))
        defer { child.kill() }
        let token = try bind("a", to: child, by: asker)
        try asker.send("SHOW a\n")
        server.settle()
        let shown = lines(asker)
        #expect(shown.count == 2)
        #expect(shown.first?.hasPrefix("LEASE a token=\(token) ") == true)
        #expect(shown.first?.contains(" pid=\(child.process) ") == true)
        #expect(shown.first?.contains(" command=backup ") == true)
        #expect(shown.first?.contains(" bound=pidfd ") == true)
    }

    @Test func pipeKeepsTheLeaseUntilTheLastWriterIsGone() throws {
        defer { server.stop() }
        let (asker, waiter, pipe) = (try connect(), try connect(), try Pipe())
        let child = try Child(inheriting: pipe.writeEnd)
        try asker.send("ACQUIRE a bind=pipe\n", with: [pipe.readEnd])
        pipe.closeReadEnd()
        server.settle()
        #expect(lines(asker).count == 1)
        asker.close()
        pipe.closeWriteEnd()
        try waiter.send("ACQUIRE a\n")
        server.settle()
        #expect(lines(waiter).isEmpty)
        child.kill()
        awaitLine(waiter) { #expect($0.contains(" previous=ended ")) }
    }

    @Test func whatIsWrittenIntoThePipeMeansNothing() throws {
        defer { server.stop() }
        let (asker, pipe) = (try connect(), try Pipe())
        try asker.send("ACQUIRE a bind=pipe\n", with: [pipe.readEnd])
        server.settle()
        #expect(write(pipe.writeEnd, "x", 1) == 1)
        try asker.send("SHOW a\n")
        server.settle()
        #expect(lines(asker).map { $0.prefix(7) } == ["GRANTED", "LEASE a", "END"])
    }

    @Test func whoeverIsOfTheUserReleasesAndRenewsItByItsToken() throws {
        defer { server.stop() }
        let (asker, other, child) = (try connect(), try connect(), try Child())
        defer { child.kill() }
        let token = try bind("a b", to: child, by: asker)
        try asker.send("RELEASE a\nRENEW a ttl=1m\n")
        try other.send("RENEW b token=\(token) ttl=1m\nRELEASE b\nRELEASE b token=\(token)\nRELEASE b token=\(token)\n")
        server.settle()
        #expect(lines(asker) == ["NOTHELD a", "NOTHELD a"])
        #expect(
            lines(other) == [
                "RENEWED a b token=\(token) ttl=1m", "NOTHELD b", "RELEASED a b token=\(token)", "NOTHELD b",
            ]
        )
        #expect(boundCount == 0)
    }

    @Test func whoAskedIsToldOfTheLoss() throws {
        defer { server.stop() }
        let (asker, revoker, child) = (try connect(), try connect(), try Child())
        defer { child.kill() }
        let token = try bind("a", to: child, by: asker)
        try revoker.send("REVOKE a reason=test\n")
        server.settle()
        #expect(lines(revoker) == ["REVOKED a token=\(token)"])
        #expect(lines(asker).map { $0.hasPrefix("* LOST a token=\(token) reason=revoked ") } == [true])
        #expect(boundCount == 0)
    }

    @Test func leaseWhoseAskerIsGoneExpiresAllTheSame() throws {
        defer { server.stop() }
        let (asker, waiter, child) = (try connect(), try connect(), try Child())
        defer { child.kill() }
        _ = try bind("a", to: child, by: asker, " ttl=1s")
        asker.close()
        try waiter.send("ACQUIRE a\n")
        server.settle()
        server.advance(.seconds(1))
        server.settle()
        #expect(lines(waiter).map { $0.contains(" previous=expired ") } == [true])
        #expect(boundCount == 0)
    }

    @Test func waitEndsWithItsSession() throws {
        defer { server.stop() }
        let (holder, asker, child) = (try connect(), try connect(), try Child())
        defer { child.kill() }
        try holder.send("ACQUIRE a\n")
        server.settle()
        try asker.send("ACQUIRE a bind=pidfd\n", with: [pidfd(of: child)])
        server.settle()
        #expect(boundCount == 1)
        asker.close()
        server.settle()
        #expect(boundCount == 0)
    }

    @Test func waitEndsWithWhatItIsToBeBoundTo() throws {
        defer { server.stop() }
        let (holder, asker, child) = (try connect(), try connect(), try Child())
        try holder.send("ACQUIRE a\n")
        server.settle()
        try asker.send("#1 ACQUIRE a bind=pidfd\n", with: [pidfd(of: child)])
        server.settle()
        child.kill()
        awaitLine(asker) { #expect($0 == "#1 CANCELLED a waited=0ms") }
        #expect(boundCount == 0)
    }

    @Test(arguments: ["wait=0", "max-queue=0"])
    func requestThatIsNotGrantedLeavesNothing(_ option: String) throws {
        defer { server.stop() }
        let (holder, asker, child) = (try connect(), try connect(), try Child())
        defer { child.kill() }
        try holder.send("ACQUIRE a\n")
        server.settle()
        try asker.send("ACQUIRE a \(option) bind=pidfd\n", with: [pidfd(of: child)])
        server.settle()
        #expect(lines(asker).map { $0.prefix(4) } == ["BUSY"])
        #expect(boundCount == 0)
    }

    @Test func descriptorsGoWithTheirLines() throws {
        defer { server.stop() }
        let (asker, first, second) = (try connect(), try Child(), try Child())
        defer { first.kill() }
        try asker.send("#1 ACQUIRE a bind=pidfd\n", with: [pidfd(of: first)])
        try asker.send("#2 ACQUIRE b bind=pidfd\n", with: [pidfd(of: second)])
        server.settle()
        #expect(lines(asker).map { $0.prefix(12) } == ["#1 GRANTED a", "#2 GRANTED b"])
        second.kill()
        try asker.send("#3 ACQUIRE b\n")
        awaitLine(asker) { #expect($0.hasPrefix("#3 GRANTED b")) }
        try asker.send("#4 ACQUIRE a wait=0\n")
        server.settle()
        #expect(lines(asker).map { $0.prefix(9) } == ["#4 BUSY a"])
    }

    @Test func wrongDescriptorsAreRefusedAndClosed() throws {
        defer { server.stop() }
        let (asker, pipe, gone) = (try connect(), try Pipe(), try Child())
        let ended = pidfd(of: gone)
        gone.kill()
        try asker.send("ACQUIRE a bind=pidfd\n")
        // A line takes what has come: this one would take that of the next.
        server.settle()
        try asker.send("ACQUIRE a bind=pidfd\n", with: [ended])
        try asker.send("ACQUIRE a bind=pidfd\n", with: [pipe.readEnd])
        try asker.send("ACQUIRE a bind=pipe\n", with: [pipe.writeEnd])
        try asker.send("ACQUIRE a bind=soul\nPING\n")
        pipe.closeReadEnd()
        server.settle()
        #expect(
            lines(asker) == [
                "ERROR bad-descriptor got=none want=pidfd",
                "ERROR bad-descriptor got=ended want=pidfd",
                "ERROR bad-descriptor got=other want=pidfd",
                "ERROR bad-descriptor got=write-end want=read-end-of-a-pipe",
                "ERROR bad-binding got=soul want=pidfd|pipe",
                "PONG",
            ]
        )
        #expect(pipe.losesItsReaders())
        close(ended)
    }

    // MARK: What the tests say more than once

    private func connect() throws -> TestClient { try TestClient(connectingTo: server.socketPath) }

    private func lines(_ client: TestClient) -> [String] {
        var lines: [String] = []
        while case .line(let line) = client.next() { lines.append(line) }
        return lines
    }

    /// Waits for something that the kernel does in its own time.
    private func awaitLine(_ client: TestClient, _ check: (String) -> Void) {
        for _ in 0..<10_000 {
            server.settle()
            guard let line = lines(client).first else { continue }
            return check(line)
        }
        Issue.record("nothing has come")
    }

    private var boundCount: Int {
        server.settle()
        return server.server.bounds.count
    }

    private func pidfd(of child: Child) -> CInt { clinux_pidfd_open(child.process) }

    /// Binds a lease that is granted at once, and returns its token.
    private func bind(_ names: String, to child: Child, by client: TestClient, _ options: String = "") throws -> String
    {
        let descriptor = pidfd(of: child)
        defer { close(descriptor) }
        try client.send("ACQUIRE \(names) bind=pidfd\(options)\n", with: [descriptor])
        server.settle()
        let answer = lines(client).first ?? "nothing"
        let prefix = "GRANTED \(names) token="
        try #require(answer.hasPrefix(prefix), "\(answer)")
        return String(answer.dropFirst(prefix.count).prefix { $0 != " " })
    }
}
