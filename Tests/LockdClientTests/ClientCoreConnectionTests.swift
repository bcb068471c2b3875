import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// The connection: how it is lost and made anew, what breaks it, and how bytes get into it.
@Suite struct ClientCoreConnectionTests {
    @Test func failedConnectIsEverybodysAnswer() {
        var fixture = CoreFixture()
        _ = fixture.acquire("a")
        _ = fixture.ping()
        let failure = ConnectFailure(path: "/test.sock", number: 2)
        #expect(
            fixture.apply(.ended(CoreFixture.first, .daemonUnavailable(failure)))
                == ["1 daemonUnavailable", "3 daemonUnavailable"]
        )
    }

    @Test func connectionThatEndsBeforeItsFirstWordIsEverybodysAnswer() {
        var fixture = CoreFixture()
        _ = fixture.acquire("a")
        _ = fixture.apply(.connected(CoreFixture.first))
        #expect(fixture.lose() == ["1 connectionLost"])
        #expect(fixture.acquire("a") == ["connect 2"])
    }

    @Test func nothingIsAskedBeforeTheDaemonHasNamedTheSession() {
        var fixture = CoreFixture()
        _ = fixture.acquire("a")
        #expect(fixture.apply(.connected(CoreFixture.first)) == ["> #2 HELLO v=1 client=lockd-swift/0.1.0"])
        #expect(fixture.acquire("b") == [])
        #expect(fixture.hear(CoreFixture.welcome(2)) == ["> #1 ACQUIRE a", "> #3 ACQUIRE b"])
    }

    @Test func newsOfAFormerConnectionAreOld() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.lose()
        _ = fixture.resume()
        _ = fixture.acquire("a")
        fixture.isSocketWilling = false
        _ = fixture.ping()
        let former = CoreFixture.first
        let news: [ClientEvent] = [
            .sent(former, byteCount: 1), .sendFailed(former), .becameWritable(former),
            .received(former, Array("#6 GRANTED a token=8\n".utf8)), .ended(former, .closed),
        ]
        for event in news { #expect(fixture.apply(event) == []) }
        #expect(fixture.hear("#6 GRANTED a token=9") == ["6 granted a 9"])
    }

    @Test func halfALineDoesNotReachTheNextConnection() {
        var fixture = CoreFixture.connected()
        _ = fixture.apply(.received(CoreFixture.first, Array("#9 GRA".utf8)))
        _ = fixture.lose()
        _ = fixture.ping()
        _ = fixture.resume()
        #expect(fixture.hear("#3 PONG") == ["3 done"])
    }

    // MARK: What does not speak the protocol

    @Test(arguments: [
        "HTTP/1.1 400 Bad Request",
        "#4 GRANTED b",
        "#4 PONG",
        "#5 RELEASED a token=7",
        "#6 GRANTED a token=7",
        "#7 PONG",
        "#7 ERROR unknown-verb got=RENEW want=PING",
        "PONG",
        "ERROR too-many-sessions limit=1",
    ])
    func breaksTheConnection(_ line: String) {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: .seconds(3))
        _ = fixture.acquire("b")
        _ = fixture.ping()
        _ = fixture.release(7)
        // A second lease, for a renewal that is on its way.
        _ = fixture.acquire("c", timeToLive: .seconds(3))
        _ = fixture.hear("#7 GRANTED c token=9")
        _ = fixture.wait(.seconds(1))
        let code = line.hasPrefix("ERROR too-many") ? "limitReached" : "incompatibleDaemon"
        let line = line.replacing("#7", with: "#8")
        #expect(
            fixture.hear(line, "#5 PONG")
                == [
                    "shut down 1", "7 lost, connectionLost", "6 done", "9 lost, connectionLost", "4 \(code)",
                    "5 \(code)",
                ]
        )
        #expect(fixture.lose() == [], "it has ended for the core already")
    }

    @Test func refusedGreetingBreaksTheConnection() {
        var fixture = CoreFixture()
        _ = fixture.ping()
        _ = fixture.apply(.connected(CoreFixture.first))
        #expect(
            fixture.hear("#2 ERROR bad-version got=1 want=2", "#1 PONG") == ["shut down 1", "1 incompatibleDaemon"]
        )
    }

    @Test func endlessLineBreaksTheConnection() {
        var fixture = CoreFixture.connected()
        _ = fixture.ping()
        let words = fixture.apply(.received(CoreFixture.first, Array(repeating: UInt8(ascii: "a"), count: 1 << 17)))
        #expect(words == ["shut down 1", "3 incompatibleDaemon"])
    }

    @Test(arguments: ["* NEWS of=tomorrow", "#99 GRANTED a token=7", "#word PONG"])
    func isIgnored(_ line: String) {
        var fixture = CoreFixture.connected()
        _ = fixture.ping()
        #expect(fixture.hear(line) == [])
        #expect(fixture.hear("#3 PONG") == ["3 done"])
    }

    // MARK: Output

    @Test func oneWritesWhileOthersAdd() {
        var fixture = CoreFixture.connected()
        fixture.isSocketWilling = false
        #expect(fixture.ping() == ["> #3 PING"])
        #expect(fixture.ping() == [])
        #expect(fixture.ping() == [])
        #expect(fixture.apply(.sent(CoreFixture.first, byteCount: 8)) == ["> #4 PING", "> #5 PING"])
    }

    @Test func whatAFullSocketDidNotTakeGoesFirst() {
        var fixture = CoreFixture.connected()
        fixture.isSocketWilling = false
        _ = fixture.ping()
        _ = fixture.ping()
        #expect(!fixture.core.awaitsWritability)
        #expect(fixture.apply(.sent(CoreFixture.first, byteCount: 3)) == ["await writability"])
        #expect(fixture.core.awaitsWritability)
        #expect(fixture.ping() == [])
        #expect(fixture.apply(.becameWritable(CoreFixture.first)) == ["> PING", "> #4 PING", "> #5 PING"])
        #expect(!fixture.core.awaitsWritability)
    }

    @Test func brokenSocketIsReadToItsEnd() {
        var fixture = CoreFixture.connected()
        fixture.isSocketWilling = false
        _ = fixture.ping()
        #expect(fixture.apply(.sendFailed(CoreFixture.first)) == ["shut down 1"])
        #expect(fixture.ping() == [])
        #expect(fixture.hear("#3 PONG") == ["3 done"])
        #expect(fixture.lose() == ["reconnect 2"])
        fixture.isSocketWilling = true
        #expect(fixture.resume() == ["> #4 PING"])
    }
}
