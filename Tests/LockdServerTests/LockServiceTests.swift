import LockdCore
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

@Suite struct LockServiceTests {
    private let fixture = ServiceFixture()

    // MARK: Sessions

    @Test func sessionsHaveNumbersOfTheirOwn() {
        let alice = fixture.open()
        fixture.end(alice)
        #expect(fixture.open().id > alice.id)
    }

    @Test func refusedConnectionsAreCounted() {
        let alice = fixture.open()
        fixture.countRefusedSession()
        fixture.countRefusedSession()
        fixture.send("STATS", from: alice)
        let lines = fixture.lines(alice)
        #expect(lines.contains("STAT sessions-accepted=1"))
        #expect(lines.contains("STAT sessions-refused=2"))
    }

    @Test func endedSessionIsNotReadAndNotCounted() {
        let alice = fixture.open()
        let bob = fixture.open()
        fixture.end(alice)
        fixture.send("PING", from: alice)
        #expect(fixture.lines(alice) == [])
        #expect(!alice.wantsInput)
        fixture.end(alice)
        fixture.send("STATS", from: bob)
        #expect(fixture.lines(bob).contains("STAT sessions=1"))
    }

    @Test func linesThatWereReceivedBeforeTheEndAreAnswered() {
        let alice = fixture.open()
        let bob = fixture.open()
        fixture.send("ACQUIRE db", from: alice)
        fixture.send("ACQUIRE db", "PING", "ACQUIRE db", from: bob)
        #expect(fixture.lines(bob) == [])
        fixture.end(bob)
        let lines = fixture.lines(bob).map { $0.split(separator: " ")[0] }
        #expect(lines == ["CANCELLED", "PONG", "BUSY"])
    }

    @Test func quitTakesNoFurtherLine() {
        let alice = fixture.open()
        fixture.send("QUIT", "ACQUIRE db", "PING", from: alice)
        #expect(fixture.lines(alice) == ["BYE"])
        #expect(alice.state == .ended)
    }

    // MARK: What was held back

    @Test func sessionThatWaitsIsNotRead() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE db", from: alice)
        fixture.send("ACQUIRE db", from: bob)
        #expect(!bob.wantsInput)
        fixture.send("RELEASE db", from: alice)
        #expect(bob.wantsInput)
        #expect(!fixture.service.hasRunnableSessions, "there is nothing that it could go on with")
    }

    @Test func taggedWaitIsRead() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE db", from: alice)
        fixture.send("#1 ACQUIRE db", from: bob)
        #expect(bob.wantsInput)
    }

    @Test func sessionGoesOnWhenItsWaitHasEnded() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE db", from: alice)
        fixture.send("ACQUIRE db wait=1s", "PING", "#1 ACQUIRE db", from: bob)
        fixture.advance(.seconds(1))
        #expect(fixture.service.hasRunnableSessions)
        #expect(!bob.wantsInput, "the lines that it has come first")
        _ = fixture.takeDirtySessions()
        fixture.resume()
        #expect(fixture.lines(bob).map { $0.split(separator: " ")[0] } == ["TIMEOUT", "PONG"])
        #expect(bob.wantsInput)
    }

    /// A session that was resumed may be read again, also if there was nothing to say to it.
    @Test func resumedSessionCountsAsChanged() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE a", "ACQUIRE b", from: alice)
        fixture.send("ACQUIRE a", "#1 ACQUIRE b", from: bob)
        fixture.send("RELEASE a", from: alice)
        #expect(fixture.takeDirtySessions().contains(bob.id))
        fixture.resume()
        #expect(fixture.takeDirtySessions() == [bob.id])
    }

    @Test func halfALineIsNothingToGoOnWith() {
        let alice = fixture.open()
        fixture.sendBytes("PING\nPI", from: alice)
        #expect(fixture.read(alice) == "PONG\n")
        #expect(!fixture.service.hasRunnableSessions)
        #expect(alice.wantsInput)
    }

    /// However long a chain of sessions is that let each other go on, each turn takes one link of it.
    @Test func sessionsThatCanGoOnBecauseOfOthersAreLeftForTheNextTurn() {
        let alice = fixture.open()
        let chain = (0..<5).map { _ in fixture.open() }
        fixture.send("ACQUIRE db", from: alice)
        for session in chain { fixture.send("ACQUIRE db", "RELEASE db", "PING", from: session) }
        fixture.send("RELEASE db", from: alice)
        for (index, session) in chain.enumerated() {
            #expect(fixture.service.hasRunnableSessions)
            fixture.resume()
            #expect(fixture.lines(session).suffix(2).map { $0.split(separator: " ")[0] } == ["RELEASED", "PONG"])
            if index + 1 < chain.count { #expect(fixture.lines(chain[index + 1]).count == 1, "it is granted") }
        }
        #expect(!fixture.service.hasRunnableSessions)
    }

    // MARK: Clients that do not read

    @Test func clientThatDoesNotReadIsNotReadFrom() {
        let alice = fixture.open()
        let count = LockService.outputLimit / "PONG\n".utf8.count + 1000
        fixture.sendBytes(String(repeating: "PING\n", count: count), from: alice)
        #expect(alice.isBackedUp)
        #expect(!alice.wantsInput)
        #expect(alice.output.count <= LockService.outputLimit + "PONG\n".utf8.count)
        #expect(alice.input.bufferedByteCount > 0)
    }

    @Test func clientThatReadsAgainGetsEveryReplyInOrder() {
        let alice = fixture.open()
        let requests = (0..<20_000).map { "#\($0) PING\n" }
        fixture.sendBytes(requests.joined(), from: alice)
        var text = ""
        while true {
            let more = fixture.read(alice, atMost: 10_000)
            if more.isEmpty { break }
            text += more
            fixture.resume()
        }
        #expect(text == (0..<20_000).map { "#\($0) PONG\n" }.joined())
        #expect(alice.wantsInput)
        #expect(!fixture.service.hasRunnableSessions)
    }

    @Test func clientThatDoesNotReadLosesNothingAndSlowsNobody() {
        let (alice, bob, carol) = (fixture.open(), fixture.open(), fixture.open())
        fixture.send("ACQUIRE db", "ACQUIRE cache ttl=1s", from: alice)
        fixture.send("ACQUIRE x", from: bob)
        fixture.send("#w ACQUIRE x", from: alice)
        fixture.sendBytes(String(repeating: "PING\n", count: 20_000), from: alice)
        fixture.send("RELEASE x", "ACQUIRE db wait=0", from: bob)
        #expect(fixture.lines(bob).map { $0.split(separator: " ")[0] } == ["GRANTED", "RELEASED", "BUSY"])
        fixture.send("ACQUIRE cache", from: carol)
        fixture.advance(.seconds(1))
        #expect(fixture.lines(carol).count == 1, "it is granted though the loser reads nothing")

        let lines = fixture.lines(alice)
        #expect(lines.contains { $0.hasPrefix("#w GRANTED x ") })
        #expect(lines.last?.hasPrefix("* LOST cache ") == true)
    }

    @Test func linesWhoseAnswersDoNotFitAreDroppedAtTheEnd() {
        let alice = fixture.open()
        fixture.sendBytes(String(repeating: "PING\n", count: 20_000), from: alice)
        fixture.send("ACQUIRE db", from: alice)
        fixture.end(alice)
        let lines = fixture.lines(alice)
        #expect(lines.count < 20_000)
        #expect(lines.allSatisfy { $0 == "PONG" })
        #expect(!fixture.service.hasRunnableSessions)
    }

    // MARK: Losses first

    @Test func lossByTimeIsSentBeforeAnythingIsSaidToTheWinner() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE db ttl=1s", from: alice)
        fixture.send("ACQUIRE db", from: bob)
        _ = fixture.lines(alice)
        fixture.advance(.seconds(1))
        #expect(
            fixture.flushes == [
                .init(loser: alice.id, outputs: [alice.id: "* LOST db token=1 reason=expired\n", bob.id: ""])
            ]
        )
        let granted =
            "GRANTED db token=2 previous=expired previous-token=1 "
            + "previous-pid=100 previous-uid=1000 previous-held=1000ms"
        #expect(fixture.lines(bob) == [granted])
    }

    @Test func lossByRevocationIsSentBeforeAnythingIsSaidToTheWinner() {
        let (alice, bob, root) = (fixture.open(), fixture.open(), fixture.open(user: 0))
        fixture.send("ACQUIRE db", from: alice)
        fixture.send("ACQUIRE db", from: bob)
        _ = fixture.lines(alice)
        fixture.send("REVOKE db", from: root)
        let loss = "* LOST db token=1 reason=revoked by-uid=0 by-pid=102\n"
        #expect(
            fixture.flushes == [.init(loser: alice.id, outputs: [alice.id: loss, bob.id: "", root.id: ""])]
        )
        #expect(fixture.lines(root) == ["REVOKED db token=1"])
        let granted =
            "GRANTED db token=2 previous=revoked previous-token=1 "
            + "previous-pid=100 previous-uid=1000 previous-held=0ms"
        #expect(fixture.lines(bob) == [granted])
    }

    @Test func lossesFoundByARequestAreSentBeforeItsAnswer() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE db ttl=1s", from: alice)
        _ = fixture.lines(alice)
        fixture.now = fixture.now + .seconds(1)
        fixture.send("ACQUIRE db", from: bob)
        #expect(fixture.flushes.map(\.loser) == [alice.id])
        #expect(fixture.flushes.first?.outputs[bob.id] == "")
    }

    @Test func allLossesOfOneInstantAreSentBeforeAnyGrantIsSaid() {
        let losers = (0..<3).map { _ in fixture.open() }
        let winner = fixture.open()
        for (index, loser) in losers.enumerated() {
            fixture.send("ACQUIRE a\(index) ttl=1s", "ACQUIRE b\(index) ttl=1s", from: loser)
            _ = fixture.lines(loser)
            fixture.send("#a\(index) ACQUIRE a\(index)", "#b\(index) ACQUIRE b\(index)", from: winner)
        }
        fixture.advance(.seconds(1))
        #expect(Set(fixture.flushes.map(\.loser)) == Set(losers.map(\.id)))
        #expect(fixture.flushes.allSatisfy { $0.outputs[winner.id] == "" })
        #expect(losers.allSatisfy { fixture.lines($0).count == 2 })
        #expect(fixture.lines(winner).count == 6)
    }

    @Test func sessionThatHasEndedIsToldOfNoLoss() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE db ttl=1s", from: alice)
        fixture.send("#1 ACQUIRE db", from: bob)
        fixture.now = fixture.now + .seconds(1)
        fixture.end(alice)
        #expect(fixture.lines(alice) == ["GRANTED db token=1 ttl=1s"])
        fixture.advance(.seconds(0))
        let granted =
            "#1 GRANTED db token=2 previous=expired previous-token=1 "
            + "previous-pid=100 previous-uid=1000 previous-held=1000ms"
        #expect(fixture.lines(bob) == [granted])
    }

    // MARK: More than one turn's work

    @Test func listingDoesNotShowLeasesThatWaitForTheirEnd() {
        var limits = Limits()
        limits.endingsPerTurn = 1
        limits.waitersPerSession = 1
        let fixture = ServiceFixture(limits: limits)
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE a", "ACQUIRE b", "ACQUIRE c", from: alice)
        fixture.send("#1 ACQUIRE b", from: bob)
        fixture.end(alice)
        fixture.send("LIST", "SHOW c", "ACQUIRE a", "STATS", from: bob)
        let lines = fixture.lines(bob)
        #expect(!lines.contains { $0.contains("session=\(alice.id) ") })
        #expect(lines.contains { $0.hasPrefix("GRANTED a ") })
        while fixture.service.hasRunnableSessions || lines.isEmpty { fixture.resume() }
        for _ in 0..<3 { fixture.advance(.seconds(0)) }
        let granted =
            "#1 GRANTED b token=5 previous=ended previous-token=2 "
            + "previous-pid=100 previous-uid=1000 previous-held=0ms"
        #expect(fixture.lines(bob) == [granted])
    }

    // MARK: Revocations

    @Test func revocationIsRecordedWithWhoTookWhatFromWhom() throws {
        let fixture = ServiceFixture()
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE db ttl=10s", from: alice)
        fixture.send("REVOKE db token=7", "REVOKE db reason=too%20slow", "REVOKE db", from: bob)
        let expected = Revocation(
            names: LockNames(try LockName("db")),
            token: FencingToken(1),
            holder: alice.peer,
            revoker: bob.peer,
            reason: try Text("too slow", limit: 64)
        )
        #expect(fixture.revocations == [expected])
    }

    @Test func otherEndingsAreNotRecorded() {
        let fixture = ServiceFixture()
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE a ttl=1s", "ACQUIRE b", "RELEASE b", "ACQUIRE c", from: alice)
        fixture.advance(.seconds(1))
        fixture.end(alice)
        #expect(fixture.lines(bob) == [])
        #expect(fixture.revocations == [])
    }

    // MARK: Tokens

    @Test func nextBlockIsReservedWhenHalfOfOneIsLeft() {
        let fixture = ServiceFixture(tokenCount: 4000)
        let alice = fixture.open()
        fixture.grantAndRelease(1999, to: alice)
        #expect(!fixture.tokens.hasBegun)
        fixture.grantAndRelease(1, to: alice)
        #expect(fixture.tokens.hasBegun)
        #expect(fixture.tokens.waitCount == 0)
        fixture.tokens.isFinished = true
        fixture.send("ACQUIRE a", from: alice)
        #expect(!fixture.tokens.hasBegun)
        #expect(fixture.service.table.tokensLeft == 2000 + TokenReserver.largestBlockSize - 1)
        fixture.grantAndRelease(3000, to: alice)
        #expect(!fixture.tokens.hasBegun, "half of the latest block is left")
    }

    @Test func noTokenIsGrantedThatIsNotReserved() {
        var limits = Limits()
        limits.endingsPerTurn = 10
        limits.waitersPerSession = 10
        let fixture = ServiceFixture(limits: limits, tokenCount: 20)
        let alice = fixture.open()
        for count in 1...30 {
            fixture.send("ACQUIRE db", "RELEASE db", from: alice)
            #expect(fixture.tokens.waitCount == (count < 10 ? 0 : 1), "\(count)")
            #expect(fixture.tokens.reserved >= UInt64(count))
        }
        let tokens = fixture.lines(alice).filter { $0.hasPrefix("GRANTED") }
        #expect(tokens == (1...30).map { "GRANTED db token=\($0)" })
    }
}
