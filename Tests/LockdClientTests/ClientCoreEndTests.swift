import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// How a client ends: closed, or dropped by everybody who referred to it.
@Suite struct ClientCoreEndTests {
    @Test func closeIsDoneWhenTheDaemonHasEndedTheSession() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.acquire("b")
        #expect(fixture.close() == ["7 lost, closed", "4 closed", "> #6 QUIT"])
        #expect(fixture.hear("#4 CANCELLED b waited=1ms") == [])
        #expect(fixture.hear("#6 BYE") == ["5 done", "shut down 1"])
        #expect(fixture.lose() == [])
    }

    @Test func closeIsDoneForEverybodyAtOnce() {
        var fixture = CoreFixture.connected()
        _ = fixture.close()
        #expect(fixture.close() == [])
        #expect(fixture.lose() == ["3 done", "5 done"])
        #expect(fixture.close() == ["6 done"])
    }

    @Test func closeWhileReleasingAnswersTheRelease() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.release(7)
        #expect(fixture.close() == ["7 lost, closed", "4 done", "> #6 QUIT"])
    }

    @Test func connectionThatComesTooLateIsEnded() {
        var fixture = CoreFixture()
        _ = fixture.ping()
        #expect(fixture.close() == ["1 closed", "3 done"])
        #expect(fixture.apply(.connected(CoreFixture.first)) == ["shut down 1"])
        #expect(fixture.lose() == [])
        #expect(fixture.ping() == ["4 closed"])
    }

    @Test func droppedClientEndsAtOnceIfNothingIsLeft() {
        var fixture = CoreFixture.connected()
        #expect(fixture.apply(.clientDropped) == ["shut down 1"])
        #expect(fixture.lose() == [])
    }

    @Test func droppedClientKeepsItsLeases() {
        var fixture = CoreFixture.holding("a", token: 7)
        #expect(fixture.apply(.clientDropped) == [])
        #expect(fixture.release(7) == ["> #4 RELEASE a token=7"])
        #expect(fixture.hear("#4 RELEASED a token=7") == ["7 released", "4 done", "shut down 1"])
    }

    @Test func droppedClientAnswersItsRequests() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        #expect(fixture.apply(.clientDropped) == [])
        #expect(fixture.hear("#3 BUSY a waiters=0") == ["3 waitTimedOut", "shut down 1"])
    }

    @Test func droppedClientGivesBackWhatNobodyWaitsFor() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.cancel(3)
        #expect(fixture.apply(.clientDropped) == [])
        #expect(fixture.hear("#3 GRANTED a token=7", "#4 NOTWAITING #3") == ["> #5 RELEASE a token=7"])
        #expect(fixture.hear("#5 RELEASED a token=7") == ["shut down 1"])
    }
}
