import LockdCore
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

/// Sessions that watch are told what happens; one that does not read is told how much it missed, and slows nobody.
@Suite struct WatchTests {
    private let fixture = ServiceFixture()

    /// The first two words of each event, and the number of one that says how much was missed.
    private func events(_ session: Session) -> [String] {
        fixture.lines(session).map { $0.split(separator: " ").dropFirst().prefix(2).joined(separator: " ") }
    }

    private func watcher(_ line: String = "WATCH") -> Session {
        let session = fixture.open()
        fixture.send(line, from: session)
        _ = fixture.read(session)
        return session
    }

    @Test func bareRequestsAreWatchedToo() {
        let alice = fixture.open()
        fixture.grantAndRelease(2, to: alice)
        let bob = watcher()
        fixture.grantAndRelease(2, to: alice)
        let told = ["GRANTED passing", "RELEASED passing"]
        #expect(events(bob) == told + told)
    }

    @Test func onlyNamesThatBeginSoAreTold() {
        let alice = fixture.open()
        let bob = watcher("WATCH build/")
        fixture.send("ACQUIRE build", "ACQUIRE build/", "ACQUIRE x build/y", "ACQUIRE builder", from: alice)
        #expect(events(bob) == ["GRANTED build/", "GRANTED x"])
    }

    @Test func secondWatchTakesThePlaceOfTheFirst() {
        let alice = fixture.open()
        let bob = watcher("WATCH a")
        fixture.send("WATCH b", from: bob)
        #expect(fixture.lines(bob) == ["WATCHING b"])
        fixture.send("ACQUIRE a", "ACQUIRE b", from: alice)
        #expect(events(bob) == ["GRANTED b"])
        fixture.send("STATS", from: alice)
        #expect(fixture.lines(alice).contains("STAT watchers=1"))
    }

    @Test func nothingComesBehindUnwatched() {
        let alice = fixture.open()
        let bob = watcher()
        fixture.send("ACQUIRE a", from: alice)
        fixture.send("UNWATCH", from: bob)
        fixture.send("ACQUIRE b", from: alice)
        let lines = fixture.lines(bob)
        #expect(lines.count == 2)
        #expect(lines.last == "UNWATCHED")
        fixture.send("UNWATCH", from: bob)
        #expect(fixture.lines(bob) == ["UNWATCHED"])
        #expect(!fixture.service.table.isObserved)
    }

    @Test func watchEndsWithItsSession() {
        let alice = fixture.open()
        let (bob, carol) = (watcher(), watcher())
        fixture.end(bob)
        fixture.send("QUIT", from: carol)
        #expect(fixture.lines(carol) == ["BYE"])
        #expect(!fixture.service.table.isObserved)
        fixture.send("ACQUIRE a", "STATS", from: alice)
        #expect(fixture.lines(alice).contains("STAT watchers=0"))
        #expect(fixture.lines(bob) == [])
    }

    @Test func oneUserIsNotAllThatMayWatch() {
        var limits = Limits()
        limits.watchersPerUser = 1
        let fixture = ServiceFixture(limits: limits)
        let sessions = [1000, 1000, 1001, 0, 0].map { fixture.open(user: $0) }
        for session in sessions { fixture.send("WATCH", from: session) }
        #expect(fixture.lines(sessions[1]) == ["ERROR too-many-watchers limit=1 scope=user"])
        #expect([0, 2, 3, 4].map { fixture.lines(sessions[$0]) } == Array(repeating: ["WATCHING"], count: 4))
    }

    @Test func moreThanMayWatchAreRefused() {
        var limits = Limits()
        limits.watchers = 2
        let fixture = ServiceFixture(limits: limits)
        let sessions = (0..<3).map { _ in fixture.open() }
        for session in sessions { fixture.send("#w WATCH", from: session) }
        #expect(fixture.lines(sessions[1]) == ["#w WATCHING"])
        #expect(fixture.lines(sessions[2]) == ["#w ERROR too-many-watchers limit=2 scope=daemon"])
        // One that watches may go on to something else.
        fixture.send("WATCH a", from: sessions[1])
        #expect(fixture.lines(sessions[1]) == ["WATCHING a"])
        fixture.end(sessions[0])
        fixture.send("WATCH", from: sessions[2])
        #expect(fixture.lines(sessions[2]) == ["WATCHING"])
    }

    @Test func watcherThatNeverReadsIsToldExactlyHowMuchItMissed() {
        let (alice, bob) = (fixture.open(), watcher())
        let carol = watcher()
        var carolsLineCount = 0
        let rounds = 2000
        for _ in 0..<rounds {
            fixture.grantAndRelease(1, to: alice)
            carolsLineCount += fixture.lines(carol).count
        }
        // Who reads misses nothing because of one who does not.
        #expect(carolsLineCount == 2 * rounds)
        #expect(bob.output.count > LockService.outputLimit)
        #expect(bob.output.count < LockService.outputLimit + 200)
        let lines = fixture.lines(bob)
        let told = lines.count { $0.hasPrefix("* GRANTED") || $0.hasPrefix("* RELEASED") }
        #expect(told == lines.count)
        // As soon as there is room, without another event.
        let missed = 2 * rounds - told
        #expect(fixture.lines(bob) == ["* MISSED count=\(missed)"])
        fixture.grantAndRelease(1, to: alice)
        #expect(events(bob) == ["GRANTED passing", "RELEASED passing"])
    }

    @Test func whatWasMissedIsToldBeforeTheNextEvent() {
        let (alice, bob) = (fixture.open(), watcher())
        while !bob.isBackedUp { fixture.grantAndRelease(1, to: alice) }
        let countBefore = bob.output.count
        fixture.grantAndRelease(3, to: alice)
        #expect(bob.output.count <= countBefore + 200)
        var lines: [String] = []
        // It reads some, but not so much that there is room.
        lines += fixture.read(bob, atMost: 10).split(separator: "\n").map(String.init)
        while !bob.output.isEmpty {
            lines += fixture.lines(bob)
        }
        let index = lines.firstIndex { $0.hasPrefix("* MISSED") }
        #expect(index == lines.count - 1)
    }

    @Test func watcherThatKeepsUpIsWrittenToBeforeAnythingIsMissed() {
        let (alice, bob) = (fixture.open(), watcher())
        while !bob.isBackedUp {
            #expect(fixture.flushes.isEmpty)
            fixture.grantAndRelease(1, to: alice)
        }
        // As soon as the line is done with.
        #expect(fixture.flushes.map(\.loser) == [bob.id])
        // What follows is counted, until something was written.
        fixture.grantAndRelease(5, to: alice)
        #expect(fixture.flushes.map(\.loser) == [bob.id])
        _ = fixture.read(bob, atMost: 1)
        fixture.grantAndRelease(5, to: alice)
        #expect(fixture.flushes.map(\.loser) == [bob.id, bob.id])
    }

    @Test func watcherThatKeepsUpMissesNothingOfAnEventThatIsLong() {
        let (alice, bob) = (fixture.open(), watcher())
        let count = 900
        for number in 0..<count {
            fixture.send("ACQUIRE \(String(repeating: "x", count: 100))\(number)", from: alice)
            for session in [alice, bob] { _ = fixture.read(session) }
        }
        #expect(fixture.flushes.isEmpty)
        fixture.end(alice)
        fixture.advance(Milliseconds(1))
        // More than may wait for long was written, as far as the socket took it, when all of it had been said.
        #expect(bob.output.count > LockService.outputLimit)
        #expect(fixture.flushes.map(\.loser) == [bob.id])
        let lines = fixture.lines(bob)
        #expect(lines.count == count)
        #expect(lines.allSatisfy { $0.hasPrefix("* ABANDONED ") })
    }

    @Test func holderWhoWatchesHearsOfItsLossFirst() {
        let alice = fixture.open()
        fixture.send("WATCH", "ACQUIRE db ttl=1s", from: alice)
        _ = fixture.read(alice)
        fixture.advance(.seconds(1))
        #expect(events(alice) == ["LOST db", "EXPIRED db"])
    }
}
