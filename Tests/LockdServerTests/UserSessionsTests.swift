import LockdCore
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

/// What is buffered for the sessions of one user.
@Suite struct UserSessionsTests {
    private let fixture = ServiceFixture(limits: Self.limits)

    private static let limits = {
        var limits = Limits()
        limits.bytesPerUser = 20_000
        return limits
    }()

    /// A request with a long answer, and the answer.
    private static let question = "#\(String(repeating: "t", count: 32)) PING"
    private static let answer = "#\(String(repeating: "t", count: 32)) PONG\n"

    /// Has a session ask and not read until all is kept for its user that may be.
    private func fill(_ session: Session) {
        while fixture.bytesLeft(for: session.peer.user.value) > 0 {
            for _ in 0..<10 { fixture.send(Self.question, from: session) }
            fixture.takeTurn()
        }
    }

    @Test func whatWaitsIsCountedWhenTheTurnEnds() {
        let alice = fixture.open()
        fixture.sendBytes("PING\nACQUIRE d", from: alice)
        #expect(fixture.bytesLeft(for: 1000) == 20_000)
        #expect(fixture.takeDirtySessions() == [alice.id])
        fixture.takeTurn()
        #expect(fixture.bytesLeft(for: 1000) == 20_000 - "PONG\n".count - "ACQUIRE d".count)
        fixture.sendBytes("b\n", from: alice)
        fixture.takeTurn(reading: [alice])
        #expect(fixture.bytesLeft(for: 1000) == 20_000 - 514)
    }

    @Test func partOfALineIsCountedThoughNothingIsSaid() {
        let alice = fixture.open()
        fixture.sendBytes("ACQU", from: alice)
        #expect(fixture.takeDirtySessions() == [alice.id])
        fixture.takeTurn()
        #expect(fixture.bytesLeft(for: 1000) == 20_000 - 4)
    }

    @Test func linesBehindAWaitAreCounted() {
        let (alice, bob) = (fixture.open(user: 1001), fixture.open())
        fixture.send("ACQUIRE db", from: alice)
        fixture.send("ACQUIRE db", "PING", from: bob)
        fixture.takeTurn()
        #expect(fixture.bytesLeft(for: 1000) == 20_000 - 514 - 5)
    }

    @Test func withNothingLeftNoLeaseIsAcquiredByAnySessionOfTheUser() {
        let (alice, bob, carol) = (fixture.open(), fixture.open(), fixture.open(user: 1001))
        fill(alice)
        fixture.send("ACQUIRE db", from: bob)
        #expect(fixture.lines(bob) == ["ERROR too-many-bytes limit=20000 scope=user"])
        fixture.send("ACQUIRE db wait=0 note=x", from: carol)
        #expect(fixture.read(carol).hasPrefix("GRANTED db "))
    }

    @Test func withNothingLeftNothingIsReadBeforeRepliesAre() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fill(alice)
        #expect(alice.output.count < LockService.outputLimit)
        #expect(!alice.wantsInput)
        // One that has nothing to read is served, one line at a time.
        #expect(bob.wantsInput)
        fixture.send("PING", "PING", from: bob)
        #expect(!bob.wantsInput)
        #expect(fixture.takeTurn(reading: [bob]) == "PONG\n")
        #expect(fixture.takeTurn(reading: [bob]) == "PONG\n")
        #expect(bob.wantsInput)
    }

    @Test func nothingIsLostOfASessionThatGoesOn() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fill(alice)
        fixture.send("#1 PING", "#2 PING", "#3 PING", from: bob)
        fixture.takeTurn()
        #expect(bob.input.bufferedByteCount == 16)
        // Alice reads, and Bob goes on without anybody's having sent anything.
        let count = fixture.takeTurn(reading: [alice]).split(separator: "\n").count
        #expect(fixture.service.hasRunnableSessions)
        fixture.takeTurn()
        #expect(fixture.lines(bob) == ["#1 PONG", "#2 PONG", "#3 PONG"])
        #expect(bob.wantsInput)
        #expect(count * Self.answer.count >= 20_000)
        fixture.takeTurn(reading: [alice, bob])
        #expect(fixture.bytesLeft(for: 1000) == 20_000)
    }

    @Test func leasesThatEndMakeRoomToo() {
        let (alice, bob) = (fixture.open(), fixture.open())
        for number in 0..<30 { fixture.send("ACQUIRE \(number) ttl=1s", from: alice) }
        fixture.takeTurn(reading: [alice])
        fill(bob)
        #expect(!bob.wantsInput)
        fixture.advance(.seconds(1))
        fixture.takeTurn()
        #expect(fixture.service.hasRunnableSessions)
        fixture.takeTurn()
        #expect(bob.wantsInput)
    }

    @Test func eachUserIsSpokenOfOnceUntilLessThanHalfIsKept() {
        let (alice, bob) = (fixture.open(), fixture.open())
        func fillAndSettle() -> [UserID] {
            var users: [UserID] = []
            while fixture.bytesLeft(for: 1000) > 0 {
                for _ in 0..<10 { fixture.send(Self.question, from: alice) }
                _ = fixture.read(alice, atMost: 0)
                users += fixture.settleUsers()
            }
            return users
        }
        fixture.send("ACQUIRE a", "ACQUIRE b", from: bob)
        _ = fixture.lines(bob)
        #expect(fillAndSettle() == [UserID(1000)])
        #expect(fixture.settleUsers() == [])
        _ = fixture.read(alice, atMost: 5000)
        #expect(fixture.settleUsers() == [])
        #expect(fillAndSettle() == [])
        _ = fixture.read(alice)
        #expect(fixture.settleUsers() == [])
        #expect(fillAndSettle() == [UserID(1000)])
    }

    @Test func sessionCountsUntilItIsClosed() {
        let alice = fixture.open()
        fixture.sendBytes("PING\nPI", from: alice)
        fixture.end(alice)
        fixture.takeTurn()
        // What is behind the last line is dropped.
        #expect(fixture.bytesLeft(for: 1000) == 20_000 - 5)
        #expect(fixture.service.sessionCount(of: UserID(1000)) == 1)
        fixture.close(alice)
        fixture.takeTurn()
        #expect(fixture.service.sessionCount(of: UserID(1000)) == 0)
        #expect(fixture.userCount == 0)
        #expect(fixture.service.users.isEmpty)
    }

    @Test func pagesAreShortWhileNothingIsLeft() {
        let (alice, bob) = (fixture.open(), fixture.open())
        for number in 0..<20 { fixture.send("ACQUIRE \(number)", from: alice) }
        for number in 0..<10 { fixture.send("#\(number) ACQUIRE 0 owner=o\(number)", from: fixture.open(user: 1001)) }
        fixture.takeTurn(reading: [alice])
        fill(alice)
        fixture.send("LIST", from: bob)
        let lines = fixture.lines(bob)
        #expect(lines.count == 9)
        #expect(lines.last?.hasPrefix("END next=") == true)
        fixture.send("SHOW 0", from: bob)
        #expect(fixture.lines(bob).count == 9)
        fixture.send("SHOW 0 limit=2", from: bob)
        #expect(fixture.lines(bob).count == 3)
    }

    @Test func longAnswersAreCountedBeforeTheTurnEnds() {
        let alice = fixture.open(user: 1001)
        for number in 0..<40 { fixture.send("ACQUIRE \(number)", from: alice) }
        let sessions = (0..<30).map { _ in fixture.open() }
        for session in sessions { fixture.send("LIST", from: session) }
        let total = sessions.reduce(0) { $0 + $1.output.count }
        #expect(total < 20_000 + sessions.count * UserSessions.outputPerTurn)
        #expect(sessions.allSatisfy { $0.output.count > 0 })
    }

    @Test func whatWasSentBeforeTheEndIsDoneThoughNothingIsLeft() {
        let (alice, bob) = (fixture.open(), fixture.open())
        fixture.send("ACQUIRE a", "ACQUIRE b", from: bob)
        _ = fixture.lines(bob)
        fill(alice)
        fixture.send("PING", "RELEASE a", "RELEASE b", from: bob)
        fixture.end(bob)
        #expect(fixture.lines(bob).map { $0.prefix(4) } == ["PONG", "RELE", "RELE"])
    }

    @Test func rootIsNeverWithout() {
        let root = fixture.open(user: 0)
        for _ in 0..<1000 { fixture.send(Self.question, from: root) }
        fixture.takeTurn()
        #expect(root.wantsInput)
        fixture.send("ACQUIRE db", from: root)
        #expect(fixture.read(root).contains("GRANTED db"))
    }

    @Test func whatWasNotReadIsNotCountedWhenASessionIsClosedThatCouldGoOn() {
        let (alice, bob) = (fixture.open(), fixture.open(user: 1001))
        fixture.send("ACQUIRE db", from: bob)
        while alice.output.count <= UserSessions.outputPerTurn { fixture.send(Self.question, from: alice) }
        fixture.send("ACQUIRE db", "PING", from: alice)
        fixture.takeTurn(reading: [bob])
        fixture.send("RELEASE db", from: bob)
        fixture.end(alice)
        fixture.close(alice)
        fixture.takeTurn(reading: [bob])
        // The lease that it was granted ends.
        fixture.advance(Milliseconds(0))
        fixture.takeTurn()
        #expect(fixture.bytesLeft(for: 1000) == 20_000)
    }
}
