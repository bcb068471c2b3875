import LockdModel
import LockdWire
import Testing

@testable import LockdClient

@Suite struct ClientCoreRenewalTests {
    private func instant(_ milliseconds: Int64) -> MonotonicInstant {
        MonotonicInstant(nanoseconds: milliseconds * 1_000_000)
    }

    @Test func leaseWithoutTimeToLiveIsNeverRenewed() {
        var fixture = CoreFixture.holding("a", token: 7)
        #expect(fixture.core.nextRenewal == nil)
        #expect(fixture.wait(.maximum) == [])
    }

    @Test func leaseIsRenewedAfterAThirdOfItsTimeToLive() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        #expect(fixture.core.nextRenewal == instant(100))
        #expect(fixture.wait(Milliseconds(99)) == [])
        #expect(fixture.wait(Milliseconds(1)) == ["> #4 RENEW a token=7"])
    }

    @Test func renewalIsNotRepeatedBeforeItsAnswer() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.wait(Milliseconds(100))
        #expect(fixture.core.nextRenewal == nil)
        #expect(fixture.wait(Milliseconds(1000)) == [])
    }

    @Test func nextRenewalCountsFromTheSendingOfTheLast() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.wait(Milliseconds(110))
        fixture.now = instant(190)
        #expect(fixture.hear("#4 RENEWED a token=7 ttl=300ms") == [])
        #expect(fixture.core.nextRenewal == instant(210))
        #expect(fixture.wait(Milliseconds(20)) == ["> #5 RENEW a token=7"])
    }

    @Test func timeToLiveIsWhatTheDaemonSays() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.wait(Milliseconds(100))
        _ = fixture.hear("#4 RENEWED a token=7 ttl=30s")
        #expect(fixture.core.nextRenewal == instant(10_100))
    }

    @Test func shortestTimeToLiveIsRenewedEveryMillisecond() {
        let fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(1))
        #expect(fixture.core.nextRenewal == instant(1))
    }

    @Test func renewalOfWhatTheDaemonDoesNotKnowIsALoss() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.wait(Milliseconds(100))
        #expect(fixture.hear("#4 NOTHELD a") == ["7 lost, unknown"])
    }

    @Test func renewalOfWhatIsLostMeansNothing() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.wait(Milliseconds(100))
        #expect(fixture.hear("* LOST a token=7 reason=expired", "#4 NOTHELD a") == ["7 lost, expired"])
        #expect(fixture.core.nextRenewal == nil)
    }

    @Test func whatIsBeingReleasedIsNotRenewed() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.release(7)
        #expect(fixture.wait(Milliseconds(100)) == [])
        #expect(fixture.core.nextRenewal == nil)
    }

    @Test func renewalOfWhatWasReleasedMeanwhileMeansNothing() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.wait(Milliseconds(100))
        _ = fixture.release(7)
        #expect(fixture.hear("#4 RENEWED a token=7 ttl=300ms", "#5 RELEASED a token=7") == ["7 released", "5 done"])
        #expect(fixture.wait(Milliseconds(1000)) == [])
    }

    @Test func everyLeaseIsRenewedWhenItIsDue() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        for (id, name, token, timeToLive) in [(4, "b", 8, 300), (5, "c", 9, 600)] {
            _ = fixture.acquire(name, timeToLive: Milliseconds(Int64(timeToLive)))
            _ = fixture.hear("#\(id) GRANTED \(name) token=\(token)")
        }
        #expect(fixture.wait(Milliseconds(100)) == ["> #6 RENEW a token=7", "> #7 RENEW b token=8"])
        #expect(fixture.core.nextRenewal == instant(200))
        #expect(fixture.wait(Milliseconds(100)) == ["> #8 RENEW c token=9"])
    }

    @Test func nothingIsRenewedWithoutAConnection() {
        var fixture = CoreFixture.holding("a", token: 7, timeToLive: Milliseconds(300))
        _ = fixture.lose()
        #expect(fixture.core.nextInstant == nil)
        #expect(fixture.wait(Milliseconds(300)) == [])
    }

    @Test func everyLeaseIsRenewedAtOnceOnTheNextConnection() {
        var fixture = CoreFixture.holding("b", token: 8, timeToLive: Milliseconds(300))
        _ = fixture.acquire("a", timeToLive: Milliseconds(900))
        _ = fixture.hear("#4 GRANTED a token=7")
        _ = fixture.wait(Milliseconds(100))
        _ = fixture.lose()
        _ = fixture.wait(Milliseconds(100))
        #expect(fixture.resume() == ["> #8 RENEW a token=7", "> #9 RENEW b token=8"])
        #expect(fixture.hear("#5 NOTHELD b") == [], "what was said of the renewal before means nothing")
        #expect(fixture.hear("#8 RENEWED a token=7", "#9 RENEWED b token=8") == [])
        #expect(fixture.core.nextInstant == instant(300))
    }
}
