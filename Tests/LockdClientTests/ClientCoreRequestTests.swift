import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// Requests: what is sent, what the answers mean, and what comes of those that nobody waits for any more.
@Suite struct ClientCoreRequestTests {
    @Test func firstRequestConnectsAndGreets() {
        var fixture = CoreFixture()
        #expect(fixture.acquire("a") == ["connect 1"])
        #expect(
            fixture.apply(.connected(CoreFixture.first))
                == ["> #2 HELLO v=1 client=lockd-swift/0.1.0"]
        )
        #expect(fixture.hear(CoreFixture.welcome(2)) == ["> #1 ACQUIRE a"])
        #expect(fixture.hear("#1 GRANTED a token=7") == ["1 granted a 7"])
    }

    @Test func requestsAreSentWithoutWaitingForEachOther() {
        var fixture = CoreFixture.connected()
        #expect(fixture.acquire("a") == ["> #3 ACQUIRE a"])
        #expect(fixture.acquire("b", timeToLive: .seconds(90)) == ["> #4 ACQUIRE b ttl=90s"])
        #expect(fixture.ping() == ["> #5 PING"])
        #expect(
            fixture.hear("#5 PONG", "#4 GRANTED b token=8 ttl=90s", "#3 GRANTED a token=9")
                == ["5 done", "4 granted b 8", "3 granted a 9"]
        )
    }

    @Test(arguments: [
        ("GRANTED a token=7", "granted a 7"),
        ("HELD a token=7", "alreadyHeld"),
        ("BUSY a holder-pid=1 holder-uid=0 holder-session=1 held=1ms waiters=0", "waitTimedOut"),
        ("TIMEOUT a waited=1ms waiters=0", "waitTimedOut"),
        ("CANCELLED a waited=1ms", "connectionLost"),
        ("ERROR too-many-leases limit=1 scope=session", "limitReached"),
        ("ERROR too-many-waiters limit=1 scope=daemon", "limitReached"),
        ("ERROR log-full want=space-in-the-directory-of-the-socket", "limitReached"),
        ("ERROR unknown-option key=ttl want=wait", "refused"),
        ("ERROR of-a-later-version", "refused"),
    ])
    func acquireIsAnswered(_ reply: String, _ expected: String) {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        #expect(fixture.hear("#3 \(reply)") == ["3 \(expected)"])
        #expect(fixture.hear("#3 \(reply)") == [], "it was answered")
    }

    @Test func leaseOnSeveralNamesIsOneLease() {
        var fixture = CoreFixture.connected()
        #expect(fixture.acquire("b a", timeToLive: .seconds(30)) == ["> #3 ACQUIRE b a ttl=30s"])
        #expect(fixture.hear("#3 GRANTED b a token=7 ttl=30s") == ["3 granted b a 7"])
        #expect(fixture.wait(.seconds(10)) == ["> #4 RENEW b token=7"])
        #expect(fixture.hear("#4 RENEWED b a token=7 ttl=30s") == [])
        #expect(fixture.release(7) == ["> #5 RELEASE b token=7"])
        #expect(fixture.hear("#5 RELEASED b a token=7") == ["7 released", "5 done"])
    }

    @Test func leaseOnSeveralNamesIsLostAsAWhole() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a b")
        _ = fixture.hear("#3 GRANTED a b token=7")
        #expect(fixture.hear("* LOST a b token=7 reason=expired") == ["7 lost, expired"])
    }

    @Test func linesMayComeInAnyPieces() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        var words: [String] = []
        for byte in "* NEWS\n#3 GRANTED a token=7\n* LOST a token=7 reason=expired\n".utf8 {
            words += fixture.apply(.received(CoreFixture.first, [byte]))
        }
        #expect(words == ["3 granted a 7", "7 lost, expired"])
    }

    // MARK: Cancelling

    @Test(arguments: [
        ("GRANTED a token=7", ["> #5 RELEASE a token=7"]),
        ("HELD a token=7", []),
        ("BUSY a waiters=0", []),
        ("TIMEOUT a waited=1ms waiters=0", []),
        ("CANCELLED a waited=1ms", []),
        ("ERROR too-many-waiters limit=1 scope=session", []),
    ])
    func cancelledAcquireKeepsNothing(_ reply: String, _ expected: [String]) {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        #expect(fixture.cancel(3) == ["3 cancelled", "> #4 CANCEL #3"])
        #expect(fixture.hear("#3 \(reply)") == expected)
        #expect(fixture.hear("#4 NOTWAITING #3", "#5 RELEASED a token=7") == [])
    }

    @Test func cancelledAcquireThatIsGrantedAndLostNeedsNothing() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.cancel(3)
        _ = fixture.hear("#3 GRANTED a token=7")
        #expect(fixture.hear("* LOST a token=7 reason=expired", "#4 NOTWAITING #3", "#5 NOTHELD a") == [])
    }

    @Test func whatIsCancelledBeforeItWasAskedIsNotAsked() {
        var fixture = CoreFixture()
        _ = fixture.acquire("a")
        #expect(fixture.cancel(1) == ["1 cancelled"])
        #expect(fixture.greet() == [])
    }

    @Test func cancellingTwiceIsCancellingOnce() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.cancel(3)
        #expect(fixture.cancel(3) == [])
    }

    @Test func cancellingWhatWasAnsweredDoesNothing() {
        var fixture = CoreFixture.holding("a", token: 7)
        #expect(fixture.cancel(3) == [])
        #expect(fixture.release(7) == ["> #4 RELEASE a token=7"])
    }

    @Test func cancelledPingIsForgotten() {
        var fixture = CoreFixture.connected()
        _ = fixture.ping()
        #expect(fixture.cancel(3) == ["3 cancelled"])
        #expect(fixture.hear("#3 PONG") == [])
    }

    // MARK: Releasing

    @Test func releaseEndsTheLease() {
        var fixture = CoreFixture.holding("a", token: 7)
        #expect(fixture.release(7) == ["> #4 RELEASE a token=7"])
        #expect(fixture.hear("#4 RELEASED a token=7") == ["7 released", "4 done"])
        #expect(fixture.release(7) == ["5 done"])
    }

    @Test func releaseCannotBeCancelled() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.release(7)
        #expect(fixture.cancel(4) == [])
        #expect(fixture.hear("#4 RELEASED a token=7") == ["7 released", "4 done"])
    }

    @Test func releasesOfOneLeaseEndTogether() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.release(7)
        #expect(fixture.release(7) == [])
        #expect(fixture.hear("#4 RELEASED a token=7") == ["7 released", "4 done", "5 done"])
    }

    @Test func releaseOfWhatTheDaemonDoesNotKnowIsALoss() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.release(7)
        #expect(fixture.hear("#4 NOTHELD a") == ["7 lost, unknown", "4 done"])
    }

    @Test func lossOvertakesRelease() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.release(7)
        #expect(fixture.hear("* LOST a token=7 reason=expired") == ["7 lost, expired", "4 done"])
        #expect(fixture.hear("#4 NOTHELD a") == [])
    }

    // MARK: Losing

    @Test(arguments: [
        ("expired", "expired"),
        ("revoked by-uid=5 by-pid=6 why=because", "revoked"),
        ("moonlight", "unknown"),
    ])
    func lossIsTold(_ reason: String, _ expected: String) {
        var fixture = CoreFixture.holding("a", token: 7)
        #expect(fixture.hear("* LOST a token=7 reason=\(reason)") == ["7 lost, \(expected)"])
        #expect(fixture.hear("* LOST a token=7 reason=\(reason)") == [], "it is lost")
        #expect(fixture.release(7) == ["4 done"])
    }

    @Test func lossOfSomethingElseChangesNothing() {
        var fixture = CoreFixture.holding("a", token: 7)
        #expect(fixture.hear("* LOST a token=6 reason=expired") == [])
        #expect(fixture.release(7) == ["> #4 RELEASE a token=7"])
    }
}
