import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// A session that outlives its connection, and the daemon.
@Suite struct ClientCoreResumptionTests {
    private static let hello = "HELLO v=1 client=lockd-swift/0.1.0 resume=1"

    /// The lock `a` is held under token 7, #4 waits for `b`, and the connection was lost.
    private var detached: CoreFixture {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.acquire("b")
        _ = fixture.lose()
        return fixture
    }

    // MARK: The same session

    @Test func lossOfTheConnectionIsNoLoss() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.acquire("b")
        #expect(fixture.lose() == ["reconnect 2"])
        #expect(fixture.apply(.connected(CoreFixture.second)) == ["> #5 \(Self.hello)"])
        #expect(fixture.hear(CoreFixture.welcome(5)) == ["> #6 PING"])
        #expect(fixture.hear("#6 PONG") == ["> #4 ACQUIRE b"])
        #expect(fixture.hear("#4 GRANTED b token=8") == ["4 granted b 8", "> #7 CANCEL #4"])
        #expect(fixture.release(7) == ["> #8 RELEASE a token=7"])
    }

    @Test func whatIsAnsweredBeforeThePingIsNotAskedAgain() {
        var fixture = detached
        _ = fixture.greet()
        #expect(fixture.hear("#4 GRANTED b token=8", "#6 PONG") == ["4 granted b 8"])
    }

    @Test func secondAnswerMeansNothing() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.lose()
        _ = fixture.greet()
        #expect(fixture.hear("#3 GRANTED a token=7", "#1 PONG", "#5 PONG") == [])
        #expect(fixture.core.leases.keys.map(\.value) == [7])
    }

    @Test func requestsAreSentAgainInTheirOrderBeforeNewOnes() throws {
        var fixture = detached
        _ = fixture.apply(.historyRequested(RequestID(50), try LockName("h")))
        _ = fixture.greet()
        _ = fixture.release(7)
        #expect(fixture.acquire("c") == [])
        #expect(
            fixture.hear("#6 PONG")
                == ["> #4 ACQUIRE b", "> #7 RELEASE a token=7", "> #8 ACQUIRE c", "> #50 HISTORY h"]
        )
    }

    @Test func descriptorIsSentAgain() {
        var fixture = CoreFixture.connected()
        let descriptor = Descriptor(owning: dup(STDERR_FILENO))
        _ = fixture.apply(.boundAcquireRequested(RequestID(80), .to("a"), descriptor))
        _ = fixture.lose()
        #expect(fixture.resume() == ["> #80 ACQUIRE a + descriptor"])
    }

    @Test func sessionIsResumedAgainAndAgain() {
        var fixture = detached
        for _ in 0..<3 {
            #expect(fixture.resume() == ["> #4 ACQUIRE b"])
            _ = fixture.wait(.seconds(1))
            #expect(fixture.lose().count == 1)
            _ = fixture.greet()
            #expect(fixture.lose().isEmpty, "not at once: there was no time in between")
            #expect(fixture.wait(.seconds(1)).count == 1)
        }
    }

    @Test func sessionThatIsEndedAgainAndAgainPausesInBetween() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        #expect(fixture.lose() == ["reconnect 2"])
        var delay = Milliseconds.zero
        for session in 2..<12 as Range<UInt64> {
            #expect(fixture.greet(session: session) == ["> #3 ACQUIRE a"])
            #expect(fixture.lose() == [])
            guard let next = fixture.core.nextInstant else {
                Issue.record("no further attempt")
                return
            }
            delay = next - fixture.now
            _ = fixture.wait(delay)
        }
        #expect(delay >= Milliseconds(500))
        _ = fixture.greet(session: 12)
        _ = fixture.hear("#3 GRANTED a token=7")
        #expect(fixture.lose().count == 1, "it has answered")
    }

    @Test func clientThatNeedsNothingConnectsWhenItDoes() {
        var fixture = CoreFixture.connected()
        #expect(fixture.lose() == [])
        #expect(fixture.core.nextInstant == nil)
        #expect(fixture.acquire("a") == ["reconnect 2"])
        #expect(fixture.apply(.connected(CoreFixture.second)) == ["> #4 \(Self.hello)"])
    }

    @Test func droppedClientThatNeedsNothingIsOver() {
        var fixture = CoreFixture.connected()
        _ = fixture.lose()
        #expect(fixture.apply(.clientDropped) == [])
        #expect(fixture.core.isOver)
    }

    @Test func droppedClientDeliversWhatItOwes() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.lose()
        _ = fixture.apply(.clientDropped)
        _ = fixture.release(7)
        #expect(fixture.resume() == ["> #5 RELEASE a token=7"])
        #expect(fixture.hear("#5 RELEASED a token=7") == ["7 released", "5 done", "shut down 2"])
    }

    @Test func restartThatTheSocketSurvivesChangesNothing() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.acquire("b")
        #expect(fixture.hear("* RESTORED session=1 leases=1 waiters=1", "#3 GRANTED a token=7") == [])
        #expect(fixture.hear("#4 GRANTED b token=8") == ["4 granted b 8"])
    }

    @Test func damagedRecordLosesEveryLease() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.acquire("b")
        _ = fixture.hear("#4 GRANTED b token=8")
        #expect(fixture.hear("* LOST reason=log-damaged") == ["7 lost, logDamaged", "8 lost, logDamaged"])
    }

    // MARK: What may have been done

    @Test func releaseWhileThereIsNoDaemonIsDelivered() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.lose()
        #expect(fixture.release(7) == [])
        #expect(fixture.wait(.maximum).count == 0, "however long that lasts")
        #expect(fixture.resume() == ["> #5 RELEASE a token=7"])
        #expect(fixture.hear("#5 RELEASED a token=7") == ["7 released", "5 done"])
    }

    @Test func releaseThatIsSaidTwiceIsDoneOnce() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.release(7)
        _ = fixture.lose()
        #expect(fixture.resume() == ["> #4 RELEASE a token=7"])
        #expect(fixture.hear("#4 NOTHELD a") == ["7 released", "4 done"])
    }

    @Test func releaseThatIsSaidOnceFindsALoss() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.lose()
        _ = fixture.release(7)
        _ = fixture.resume()
        #expect(fixture.hear("#5 NOTHELD a") == ["7 lost, unknown", "5 done"])
    }

    @Test func boundReleaseThatIsSaidTwiceIsDoneOnce() throws {
        var fixture = CoreFixture.connected()
        let name = try LockName("a")
        _ = fixture.apply(.boundReleaseRequested(RequestID(80), name, FencingToken(7)))
        _ = fixture.apply(.boundRenewRequested(RequestID(81), name, FencingToken(7), nil))
        _ = fixture.lose()
        _ = fixture.apply(.boundReleaseRequested(RequestID(82), name, FencingToken(8)))
        #expect(
            fixture.resume() == ["> #80 RELEASE a token=7", "> #81 RENEW a token=7", "> #82 RELEASE a token=8"]
        )
        #expect(
            fixture.hear("#80 NOTHELD a", "#81 NOTHELD a", "#82 NOTHELD a") == ["80 done", "81 notHeld", "82 notHeld"]
        )
    }

    @Test func waitThatEndedBecauseNobodyWasThereIsBegunAgain() {
        var fixture = detached
        _ = fixture.greet()
        #expect(fixture.hear("#4 CANCELLED b waited=10000ms") == [])
        #expect(fixture.hear("#6 PONG") == ["> #4 ACQUIRE b"])
        // It may also cross with the request that is sent again.
        #expect(fixture.hear("#4 CANCELLED b waited=10000ms") == ["> #4 ACQUIRE b"])
        #expect(fixture.hear("#4 GRANTED b token=8") == ["4 granted b 8", "> #7 CANCEL #4"])
    }

    @Test func bindingThatHasEndedIsNotAskedForForever() {
        var fixture = CoreFixture.connected()
        var terms = AcquireTerms.to("a")
        terms.binding = .pipe
        _ = fixture.apply(.boundAcquireRequested(RequestID(80), terms, Descriptor(owning: dup(STDERR_FILENO))))
        _ = fixture.lose()
        _ = fixture.resume()
        #expect(fixture.hear("#80 CANCELLED a waited=1ms") == ["> #80 ACQUIRE a bind=pipe + descriptor"])
        #expect(fixture.hear("#80 ERROR bad-descriptor got=ended want=pipe").first == "80 bindingEnded")
    }

    @Test func nothingComesOfARequestThatIsDoneTwice() {
        var fixture = detached
        _ = fixture.resume()
        // The answer crosses with the request, which the daemon takes for a new one.
        #expect(fixture.hear("#4 TIMEOUT b waited=1ms waiters=0") == ["4 waitTimedOut", "> #7 CANCEL #4"])
        #expect(fixture.hear("#4 GRANTED b token=9", "#7 NOTWAITING #4") == ["> #8 RELEASE b token=9"])
        #expect(fixture.hear("#4 GRANTED b token=9") == [], "it is over")
    }

    @Test func leaseIsGrantedOnce() {
        var fixture = detached
        _ = fixture.resume()
        _ = fixture.hear("#4 GRANTED b token=8")
        #expect(fixture.hear("#4 GRANTED b token=8") == [], "it is the caller's")
        #expect(
            fixture.hear("* LOST b token=8 reason=expired", "#4 GRANTED b token=9").last == "> #8 RELEASE b token=9"
        )
    }

    @Test func cancellationIsDelivered() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.acquire("b")
        _ = fixture.cancel(3)
        _ = fixture.lose()
        #expect(fixture.cancel(4) == ["4 cancelled"])
        _ = fixture.acquire("c")
        let unsent = fixture.nextID - 1
        #expect(fixture.cancel(unsent) == ["\(unsent) cancelled"])
        _ = fixture.apply(.connected(CoreFixture.second))
        _ = fixture.hear(CoreFixture.welcome(6))
        #expect(fixture.hear("#8 PONG") == ["> #9 CANCEL #3", "> #10 CANCEL #4"])
        #expect(fixture.hear("#3 GRANTED a token=7", "#9 NOTWAITING #3") == ["> #11 RELEASE a token=7"])
    }

    @Test func grantThatNobodyWantsIsGivenBackOnTheNextConnection() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.cancel(3)
        _ = fixture.lose()
        _ = fixture.greet()
        #expect(fixture.hear("#3 GRANTED a token=7") == [])
        #expect(fixture.hear("#6 PONG") == ["> #8 CANCEL #3", "> #7 RELEASE a token=7"])
        fixture.now = fixture.now + .seconds(1)
        #expect(fixture.lose() == ["reconnect 3"])
        #expect(fixture.resume() == ["> #11 CANCEL #3", "> #7 RELEASE a token=7"])
    }

    @Test func whatIsToldInPartsIsAskedForAsAWhole() throws {
        var fixture = CoreFixture.connected()
        let hold = "HOLD a outcome=ended waited=1ms held=2ms ago=3ms token="
        let edge = "EDGE a waiter-pid=1 waiter-session=2 holder-pid=9 holder-session=1 held=1ms token=3"
        _ = fixture.apply(.historyRequested(RequestID(80), try LockName("a")))
        _ = fixture.apply(.acquireRequested(RequestID(81), .to("a")))
        _ = fixture.hear("#80 \(hold)5", "#81 \(edge)")
        _ = fixture.lose()
        _ = fixture.greet()
        #expect(fixture.hear("#80 \(hold)4", "#80 END", "#81 \(edge)", "#81 DEADLOCK a edges=2") == [])
        #expect(fixture.hear("#4 PONG") == ["> #80 HISTORY a", "> #81 ACQUIRE a"])
        #expect(fixture.hear("#80 \(hold)5", "#80 \(hold)4", "#80 END") == ["80 history 5,4"])
    }

    // MARK: Another session

    @Test func forgottenSessionHasLostItsLeasesAndWaitsAnew() {
        var fixture = detached
        _ = fixture.release(7)
        #expect(
            fixture.greet(session: 9) == ["7 lost, forgotten", "6 done", "> #4 ACQUIRE b"],
            "nothing was left to be said"
        )
        #expect(fixture.hear("#4 GRANTED b token=8") == ["4 granted b 8"], "it was asked once in this session")
        _ = fixture.lose()
        #expect(fixture.apply(.connected(fixture.connection)).first?.hasSuffix(" resume=9") == true)
    }

    @Test func numberOfTheSessionAloneSaysNothing() {
        var fixture = detached
        #expect(fixture.greet(session: 1, isNew: true) == ["7 lost, forgotten", "> #4 ACQUIRE b"])
    }

    @Test func whatNobodyWantsIsForgottenWithTheSession() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a")
        _ = fixture.acquire("b")
        _ = fixture.cancel(3)
        _ = fixture.cancel(4)
        _ = fixture.hear("#4 GRANTED b token=7")
        _ = fixture.lose()
        #expect(fixture.greet(session: 9) == [])
        #expect(fixture.core.outstanding == [:])
    }

    @Test func boundLeaseIsReleasedWhateverTheSession() throws {
        var fixture = CoreFixture.connected()
        _ = fixture.apply(.boundReleaseRequested(RequestID(80), try LockName("a"), FencingToken(7)))
        _ = fixture.lose()
        #expect(fixture.greet(session: 9) == ["> #80 RELEASE a token=7"])
        #expect(fixture.hear("#80 NOTHELD a") == ["80 done"], "by the same words before")
    }

    // MARK: Another daemon

    @Test func sessionOfAnotherProcessIsNotTriedAgain() {
        var fixture = detached
        _ = fixture.apply(.connected(CoreFixture.second))
        #expect(
            fixture.hear("#5 ERROR foreign-process key=resume got=1 want=session-of-your-process")
                == ["shut down 2", "7 lost, connectionLost", "4 refused"]
        )
        #expect(fixture.core.isOver)
        #expect(fixture.acquire("a") == ["connect 3"])
        #expect(fixture.apply(.connected(ConnectionID(value: 3))).first?.contains("resume") == false)
    }

    @Test(arguments: ["ERROR too-many-sessions limit=1 scope=user", "ERROR log-full", "#5 ERROR log-full"])
    func sessionForWhichThereIsNoRoomYetIsTriedAgain(_ line: String) {
        var fixture = detached
        _ = fixture.apply(.connected(CoreFixture.second))
        #expect(fixture.hear(line, "nonsense") == ["shut down 2"])
        #expect(fixture.wait(.seconds(1)) == ["reconnect 3"])
        #expect(fixture.resume() == ["> #4 ACQUIRE b"])
    }

    @Test func brokenSocketIsReadToItsEndBeforeTheNextIsMade() {
        var fixture = detached
        _ = fixture.resume()
        #expect(fixture.apply(.sendFailed(CoreFixture.second)) == ["shut down 2"])
        #expect(fixture.hear("#4 GRANTED b token=8") == ["4 granted b 8"])
        #expect(fixture.lose() == ["reconnect 3"])
    }

    // MARK: The end

    @Test func closeWhileThereIsNoDaemonIsDelivered() {
        var fixture = detached
        #expect(fixture.close() == ["7 lost, closed", "4 closed"])
        #expect(fixture.fail() == [])
        #expect(fixture.core.nextInstant.map { $0 <= fixture.now + Backoff.longest } == true)
        #expect(fixture.wait(Milliseconds(1999)) == ["reconnect 3"])
        #expect(fixture.wait(Milliseconds(1)) == ["6 done"], "whoever closes does not wait for ever")
        _ = fixture.apply(.connected(fixture.connection))
        #expect(fixture.hear(CoreFixture.welcome(7)) == ["> #8 QUIT"])
        #expect(fixture.hear("#8 BYE") == ["shut down 3"])
        #expect(fixture.core.isOver)
    }

    @Test func closeOfASessionThatIsForgottenIsDone() {
        var fixture = detached
        _ = fixture.apply(.connected(CoreFixture.second))
        _ = fixture.close()
        #expect(fixture.hear(CoreFixture.welcome(5, session: 9)) == ["6 done", "shut down 2"])
    }

    @Test func closeThatTheDaemonMayNotHaveHeardIsSaidAgain() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.close()
        #expect(fixture.lose() == ["reconnect 2"])
        #expect(fixture.fail() == [])
        #expect(fixture.close() == [])
        #expect(fixture.wait(.seconds(2)) == ["4 done", "7 done", "reconnect 3"])
    }

    @Test func closeInAHurryIsSaidAgainAllTheSame() {
        var fixture = CoreFixture.holding("a", token: 7)
        _ = fixture.close()
        #expect(fixture.cancel(4) == ["4 done", "shut down 1"])
        #expect(fixture.lose() == ["reconnect 2"])
        _ = fixture.apply(.connected(CoreFixture.second))
        #expect(fixture.hear(CoreFixture.welcome(6)) == ["> #7 QUIT"])
    }
}
