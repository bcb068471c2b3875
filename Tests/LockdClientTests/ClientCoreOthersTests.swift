import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// Requests about leases that are not the client's own: bound ones, and those that have ended.
@Suite struct ClientCoreOthersTests {
    private static let hold =
        "HOLD a token=7 outcome=expired session=1 pid=9 uid=5 command=x%1B unit=u waited=1ms held=2ms ago=3ms note=n%20n"

    private func acquire(_ fixture: inout CoreFixture) -> [String] {
        var terms = AcquireTerms.to("a b")
        terms.binding = .pipe
        let descriptor = Descriptor(owning: dup(STDERR_FILENO))
        return fixture.apply(.boundAcquireRequested(RequestID(80), terms, descriptor))
    }

    // MARK: Bound leases

    @Test func descriptorGoesWithItsLine() {
        var fixture = CoreFixture.connected()
        fixture.isSocketWilling = false
        #expect(fixture.ping() == ["> #3 PING"])
        _ = fixture.apply(.boundAcquireRequested(RequestID(80), .to("a"), Descriptor(owning: dup(STDERR_FILENO))))
        _ = fixture.apply(.pingRequested(RequestID(81)))
        fixture.isSocketWilling = true
        #expect(
            fixture.apply(.sent(CoreFixture.first, byteCount: 8)) == ["> #80 ACQUIRE a + descriptor", "> #81 PING"]
        )
    }

    @Test func boundLeaseIsNotTheClients() {
        var fixture = CoreFixture.connected()
        #expect(acquire(&fixture) == ["> #80 ACQUIRE a b bind=pipe + descriptor"])
        #expect(fixture.hear("#80 QUEUED a b position=1 on=a waiters=1") == ["80 waits #1 of 1"])
        #expect(fixture.hear("#80 GRANTED a b token=7") == ["80 bound a b 7"])
        #expect(fixture.core.leases == [:])
        #expect(fixture.hear("* LOST a b token=7 reason=expired") == [])
        #expect(fixture.lose() == [])
    }

    @Test(arguments: [
        ("BUSY a b waiters=0", "80 waitTimedOut"), ("DEADLOCK a b edges=0", "80 deadlock"),
        ("CANCELLED a b waited=1ms", "80 bindingEnded"),
        ("ERROR bad-descriptor got=ended want=pidfd", "80 bindingEnded"),
        ("ERROR bad-descriptor got=other want=pidfd", "80 refused"),
        ("ERROR too-many-descriptors limit=1 scope=daemon", "80 limitReached"),
    ])
    func boundLeaseIsRefused(_ reply: String, _ expected: String) {
        var fixture = CoreFixture.connected()
        _ = acquire(&fixture)
        #expect(fixture.hear("#80 \(reply)") == [expected])
    }

    @Test func boundLeaseThatNobodyWaitsForIsReleased() {
        var fixture = CoreFixture.connected()
        _ = acquire(&fixture)
        _ = fixture.apply(.requestCancelled(RequestID(80)))
        let words = fixture.hear("#80 GRANTED a b token=7")
        #expect(words.count == 1)
        #expect(words.first?.hasSuffix(" RELEASE a token=7") == true, "\(words)")
    }

    @Test func boundLeaseIsReleasedAndRenewedByItsToken() throws {
        var fixture = CoreFixture.connected()
        let name = try LockName("a")
        #expect(
            fixture.apply(.boundRenewRequested(RequestID(80), name, FencingToken(7), .seconds(9)))
                == ["> #80 RENEW a token=7 ttl=9s"]
        )
        #expect(fixture.hear("#80 RENEWED a b token=7 ttl=9s") == ["80 done"])
        #expect(
            fixture.apply(.boundReleaseRequested(RequestID(81), name, FencingToken(7))) == ["> #81 RELEASE a token=7"]
        )
        #expect(fixture.cancel(81) == [], "it cannot be cancelled")
        #expect(fixture.hear("#81 RELEASED a b token=7") == ["81 done"])
        _ = fixture.apply(.boundReleaseRequested(RequestID(82), name, FencingToken(7)))
        #expect(fixture.hear("#82 NOTHELD a") == ["82 notHeld"])
        _ = fixture.apply(.boundReleaseRequested(RequestID(83), name, FencingToken(7)))
        #expect(fixture.lose() == ["reconnect 2"])
    }

    // MARK: History

    @Test func historyEndsWithEnd() throws {
        var fixture = CoreFixture.connected()
        #expect(fixture.apply(.historyRequested(RequestID(80), try LockName("a"))) == ["> #80 HISTORY a"])
        #expect(fixture.hear("#80 \(Self.hold)") == [])
        let other = "#80 HOLD a token=6 outcome=ended waited=1ms held=2ms ago=3ms"
        #expect(fixture.hear(other, "#80 END") == ["80 history 7,6"])
        #expect(fixture.core.holds == [:])
        _ = fixture.apply(.historyRequested(RequestID(81), try LockName("a")))
        #expect(fixture.hear("#81 END") == ["81 history "])
    }

    @Test func historyThatNobodyWaitsForIsForgotten() throws {
        var fixture = CoreFixture.connected()
        _ = fixture.apply(.historyRequested(RequestID(80), try LockName("a")))
        _ = fixture.hear("#80 \(Self.hold)")
        #expect(fixture.cancel(80) == ["80 cancelled"])
        #expect(fixture.core.holds == [:])
        #expect(fixture.hear("#80 \(Self.hold)", "#80 END") == [])
    }

    @Test func endlessHistoryIsNotCollected() throws {
        var fixture = CoreFixture.connected()
        _ = fixture.apply(.historyRequested(RequestID(80), try LockName("a")))
        for _ in 0..<500 { #expect(fixture.hear("#80 \(Self.hold)") == []) }
        #expect(fixture.hear("#80 \(Self.hold)") == ["shut down 1", "80 incompatibleDaemon"])
    }

    @Test func historyIsRefused() throws {
        var fixture = CoreFixture.connected()
        _ = fixture.apply(.historyRequested(RequestID(80), try LockName("a")))
        #expect(fixture.hear("#80 ERROR unknown-verb got=HISTORY") == ["80 refused"])
    }

    @Test func holdSaysWhatIsKnown() throws {
        let line = try #require(Array(Self.hold.utf8).withUnsafeBytes { try ReplyDecoder.decode($0) })
        guard case .hold(let hold) = line.reply else {
            Issue.record("\(line)")
            return
        }
        let lease = Hold(hold)
        #expect(lease.lockName == "a")
        #expect(lease.token == 7)
        #expect(lease.outcome == .expired)
        #expect(lease.holder.processID == 9)
        #expect(lease.holder.command == "x%1B")
        #expect(lease.holder.unit == "u")
        #expect(lease.held == .milliseconds(2))
        #expect(lease.ago == .milliseconds(3))
        #expect(lease.note == "n%20n")
    }
}
