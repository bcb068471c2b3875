import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// How long who waits for what while there is no daemon.
@Suite struct ClientCorePatienceTests {
    /// A connection that was lost, and a first attempt that has failed; nothing more comes of the others.
    private func detached(_ ask: (inout CoreFixture) -> Void = { _ in }) -> CoreFixture {
        var fixture = CoreFixture.holding("a", token: 7)
        ask(&fixture)
        _ = fixture.lose()
        _ = fixture.fail()
        return fixture
    }

    /// Waits, and lets every attempt fail; returns the answers that come of it.
    private func answers(_ fixture: inout CoreFixture, within duration: Milliseconds) -> [String] {
        let end = fixture.now + duration
        var words: [String] = []
        while let next = fixture.core.nextInstant, next <= end {
            fixture.now = max(fixture.now, next)
            words += fixture.apply(.timePassed).filter { !$0.hasPrefix("reconnect") }
            if case .connecting = fixture.core.connection { words += fixture.fail() }
        }
        fixture.now = end
        return words
    }

    @Test func whoeverCanWaitWaitsForTheDaemon() {
        var fixture = detached { _ = $0.acquire("b") }
        _ = fixture.acquire("c")
        #expect(answers(&fixture, within: .seconds(3600)) == [])
        _ = fixture.wait(.seconds(1))
        #expect(fixture.resume() == ["> #4 ACQUIRE b", "> #6 ACQUIRE c"])
    }

    @Test func waitTimeoutIsHonoured() {
        var fixture = detached { fixture in
            _ = fixture.acquire("b", wait: .after(.seconds(5)))
            fixture.now = fixture.now + .seconds(1)
        }
        _ = fixture.acquire("c", wait: .after(Milliseconds(100)))
        #expect(answers(&fixture, within: Milliseconds(99)) == [])
        #expect(answers(&fixture, within: Milliseconds(1)) == ["6 waitTimedOut"])
        #expect(answers(&fixture, within: Milliseconds(3899)) == [])
        #expect(answers(&fixture, within: Milliseconds(1)) == ["4 waitTimedOut"], "counted from when it was asked for")
        _ = fixture.wait(.seconds(1))
        let words = fixture.resume()
        #expect(words.count == 1, "what was never asked for need not be cancelled")
        #expect(words.first?.hasSuffix(" CANCEL #4") == true)
    }

    @Test func waitTakesUpWhereItBegan() {
        var fixture = detached { _ = $0.acquire("b", wait: .after(.seconds(5))) }
        fixture.now = fixture.now + Milliseconds(1500)
        _ = fixture.acquire("c", wait: .after(.seconds(5)))
        _ = fixture.wait(Milliseconds(500))
        #expect(fixture.resume() == ["> #4 ACQUIRE b wait=3s", "> #6 ACQUIRE c wait=4500ms"])
    }

    @Test func waitThatIsJustOverIsATry() {
        var fixture = detached { _ = $0.acquire("b", wait: .after(.seconds(5))) }
        _ = fixture.wait(.seconds(1))
        _ = fixture.greet()
        fixture.now = fixture.now + .seconds(4)
        #expect(fixture.hear("#\(fixture.nextID - 1) PONG") == ["> #4 ACQUIRE b wait=0"])
    }

    @Test func firstWaitBeginsWithTheCall() {
        var fixture = CoreFixture()
        _ = fixture.acquire("a", wait: .after(.seconds(5)))
        fixture.now = fixture.now + .seconds(1)
        #expect(fixture.greet() == ["> #1 ACQUIRE a wait=4s"])
    }

    @Test func whatIsAnsweredAtOnceWaitsTwoSeconds() throws {
        let name = try LockName("h")
        var fixture = detached { fixture in
            _ = fixture.acquire("b", wait: .none)
            _ = fixture.acquire("c", queueLimit: 0)
            _ = fixture.apply(.historyRequested(RequestID(50), name))
            _ = fixture.apply(.boundRenewRequested(RequestID(51), name, FencingToken(1), nil))
            _ = fixture.apply(.boundReleaseRequested(RequestID(52), name, FencingToken(1)))
        }
        #expect(answers(&fixture, within: .seconds(1)) == [])
        _ = fixture.apply(.pingRequested(RequestID(53)))
        #expect(answers(&fixture, within: Milliseconds(999)) == [])
        #expect(
            answers(&fixture, within: Milliseconds(1))
                == ["4 daemonUnavailable", "5 daemonUnavailable", "50 daemonUnavailable", "51 daemonUnavailable"]
        )
        #expect(answers(&fixture, within: .seconds(1)) == ["53 daemonUnavailable"])
        #expect(answers(&fixture, within: .seconds(3600)) == [], "the release is delivered when there is a daemon")
    }

    @Test func daemonThatDoesNotGreetIsNoDaemon() {
        var fixture = detached { _ = $0.acquire("b", wait: .none) }
        _ = fixture.wait(.seconds(1))
        _ = fixture.apply(.connected(fixture.connection))
        #expect(fixture.core.nextInstant == fixture.now + .seconds(1))
        #expect(fixture.wait(.seconds(1)) == ["4 daemonUnavailable"])
        #expect(fixture.core.nextInstant == nil)
    }

    @Test func errorSaysWhyThereIsNoDaemon() {
        var fixture = detached { _ = $0.acquire("b", wait: .after(.seconds(5))) }
        _ = fixture.acquire("c", wait: .none)
        var messages: [String] = []
        for instant in [2, 5] {
            fixture.now = MonotonicInstant(nanoseconds: Int64(instant) * 1_000_000_000)
            for action in fixture.core.apply(.timePassed, at: fixture.now) {
                if case .complete(_, .failed(let error)) = action {
                    messages.append(error.message)
                    #expect(error.lockNames.count == 1)
                }
            }
        }
        let reason =
            "lockd at /test.sock has ended and is not back: cannot connect to lockd at /test.sock: No such file or directory; "
            + #"start it with "lockd --socket /test.sock", or name another socket"#
        #expect(messages == [reason, #"lock "b" was not granted after a wait of 5 s: "# + reason])
    }

    @Test func nothingIsAttemptedForNobody() {
        var fixture = CoreFixture.connected()
        _ = fixture.acquire("a", wait: .after(.seconds(1)))
        _ = fixture.lose()
        _ = fixture.fail()
        #expect(answers(&fixture, within: .seconds(1)).first == "3 waitTimedOut")
        // It may wait at the daemon still, which is to be told.
        #expect(fixture.core.isInUse)
        var other = CoreFixture.connected()
        _ = other.lose()
        _ = other.acquire("a", wait: .after(.seconds(1)))
        _ = other.fail()
        #expect(answers(&other, within: .seconds(1)).first == "3 waitTimedOut")
        #expect(!other.core.isInUse)
        #expect(answers(&other, within: .seconds(10)) == [])
        #expect(other.core.nextInstant == nil)
    }

    // MARK: Attempts

    @Test func attemptsAreMadeAtOnceThenMoreAndMoreRarely() {
        var fixture = CoreFixture.holding("a", token: 7)
        #expect(fixture.lose() == ["reconnect 2"])
        var longest: Int64 = 10
        for attempt in 3..<20 {
            #expect(fixture.fail() == [])
            guard let next = fixture.core.nextInstant else {
                Issue.record("no further attempt")
                return
            }
            let delay = next - fixture.now
            #expect((Milliseconds(longest / 2)...Milliseconds(longest)).contains(delay))
            longest = min(1000, longest * 2)
            #expect(fixture.wait(delay) == ["reconnect \(attempt)"])
        }
        _ = fixture.resume()
        fixture.now = fixture.now + .seconds(1)
        #expect(fixture.lose() == ["reconnect 20"], "from the beginning, after there was a daemon")
    }

    @Test func clientsDoNotComeBackAllAtOnce() {
        var delays: Set<Milliseconds> = []
        for seed in 0..<20 as Range<UInt64> {
            var backoff = Backoff(seed: seed)
            for _ in 0..<8 { _ = backoff.next() }
            delays.insert(backoff.next())
        }
        #expect(delays.count > 10)
    }
}
