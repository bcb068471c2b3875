import LockdModel
import LockdWire
import Testing

// Not the one of the wire.
import enum LockdClient.WatchEvent

@testable import LockdClient

/// What the lines of a session that watches mean.
@Suite struct WatchCoreTests {
    private static func welcome(session: UInt64, isNew: Bool = false) -> String {
        "WELCOME lockd=0 v=1 session=\(session) pid=1 features=watch line=8192 name=255"
            + (isNew ? "" : " leases=0 waiters=0")
    }

    private static let welcome = welcome(session: 1)
    private static let lost = LockdClientError.connectionLost("/test.sock", "test")
    private static let watch = WatchCore.Signal.send(Array("WATCH\n".utf8))
    private static let peer = "session=3 pid=9 uid=5 command=x%1B unit=u.service"

    private var core = WatchCore(path: "/test.sock", prefix: nil)

    private mutating func hear(_ lines: String...) -> [WatchCore.Signal] {
        core.receive(lines.flatMap { Array("\($0)\n".utf8) })
    }

    private mutating func events(_ lines: String...) -> [WatchEvent] {
        _ = hear(Self.welcome, "WATCHING")
        return lines.flatMap { hear($0) }.compactMap { signal in
            if case .event(let event) = signal { event } else { nil }
        }
    }

    @Test func greetsAndAsks() throws {
        var core = WatchCore(path: "/test.sock", prefix: try LockName("jobs/ü"))
        #expect(
            String(decoding: core.greeting, as: UTF8.self) == "HELLO v=1 client=lockd-swift/\(LockdVersion.current)\n"
        )
        #expect(core.receive(Array("\(Self.welcome)\n".utf8)) == [.send(Array("WATCH jobs/%C3%BC\n".utf8))])
    }

    @Test mutating func startsWhenTheDaemonHasTakenNote() {
        #expect(hear(Self.welcome) == [Self.watch])
        #expect(hear("WATCHING jobs/") == [.started])
    }

    @Test mutating func eventsAreToldInOrder() {
        let events = events(
            "* QUEUED a b \(Self.peer) position=2 note=n%0A",
            "* UNQUEUED a waited=5ms reason=timeout",
            "* UNQUEUED a waited=5ms reason=cancelled",
            "* GRANTED a b token=7 \(Self.peer) waited=6ms",
            "* NEWS",
            "* RELEASED a token=7 held=1ms",
            "* EXPIRED a token=8 held=1ms note=m",
            "* REVOKED a token=9 held=1ms",
            "* ABANDONED a token=10 held=1ms",
            "* MISSED count=12"
        )
        #expect(events.count == 9)
        guard case .queued(let queued, position: 2) = events[0],
            case .granted(let granted, token: 7, let waited) = events[3]
        else {
            Issue.record("\(events)")
            return
        }
        #expect(queued.lockNames == ["a", "b"])
        #expect(queued.note == "n%0A")
        #expect(queued.peer.processID == 9)
        #expect(queued.peer.userID == 5)
        #expect(queued.peer.sessionID == 3)
        #expect(queued.peer.command == "x%1B")
        #expect(queued.peer.unit == "u.service")
        #expect(granted.lockNames == ["a", "b"])
        #expect(waited == .milliseconds(6))
        let unqueued = events[1...2].map { event -> WatchEvent.UnqueueReason? in
            if case .unqueued(_, waited: .milliseconds(5), let reason) = event { reason } else { nil }
        }
        #expect(unqueued == [.timeout, .cancelled])
        let ended = events[4...7].map { event -> String in
            if case .ended(let subject, let outcome, let token, held: .milliseconds(1)) = event {
                "\(outcome) \(token) \(subject.note ?? "-")"
            } else {
                "\(event)"
            }
        }
        #expect(ended == ["released 7 -", "expired 8 m", "revoked 9 -", "ended 10 -"])
        #expect(events[8] == .missed(count: 12))
    }

    @Test mutating func linesMayComeInAnyPieces() {
        var signals: [WatchCore.Signal] = []
        for byte in "\(Self.welcome)\nWATCHING\n* MISSED count=1\n* MISSED count=2\n".utf8 {
            signals += core.receive([byte])
        }
        #expect(signals == [Self.watch, .started, .event(.missed(count: 1)), .event(.missed(count: 2))])
    }

    @Test(arguments: [
        (["ERROR too-many-sessions limit=1 scope=daemon"], LockdClientError.Code.limitReached),
        (["PONG"], .incompatibleDaemon),
        ([welcome, "ERROR too-many-watchers limit=64 scope=daemon"], .limitReached),
        ([welcome, "ERROR unknown-verb got=WATCH"], .refused),
        ([welcome, "* MISSED count=1"], .incompatibleDaemon),
        ([welcome, "WATCHING", "PONG"], .incompatibleDaemon),
        ([welcome, "WATCHING", "* QUEUED a"], .incompatibleDaemon),
        (["HTTP/1.1 400"], .incompatibleDaemon),
    ])
    mutating func whatIsNoWatchEnds(_ lines: [String], _ code: LockdClientError.Code) {
        let signals = lines.flatMap { hear($0) }
        guard case .failed(let error) = signals.last else {
            Issue.record("\(signals)")
            return
        }
        #expect(error.code == code)
        #expect(hear("* MISSED count=1") == [], "nothing comes behind that")
    }

    // MARK: The next daemon

    @Test mutating func watchIsResumed() {
        _ = hear(Self.welcome, "WATCHING")
        #expect(core.ended(Self.lost) == .retry(after: .zero))
        #expect(core.isResuming)
        #expect(String(decoding: core.greeting, as: UTF8.self).hasSuffix(" resume=1\n"))
        #expect(hear(Self.welcome) == [])
        #expect(hear("* RESTORED session=1 leases=0 waiters=0", "* MISSED count=3") == [.event(.missed(count: 3))])
    }

    @Test mutating func watchThatTheNextDaemonDoesNotRememberIsBegunAgainAndSaysSo() {
        _ = hear(Self.welcome, "WATCHING")
        _ = core.ended(Self.lost)
        #expect(hear(Self.welcome(session: 5)) == [.event(.missed(count: nil)), Self.watch])
        #expect(hear("WATCHING", "* MISSED count=1") == [.event(.missed(count: 1))])
        _ = core.ended(Self.lost)
        #expect(String(decoding: core.greeting, as: UTF8.self).hasSuffix(" resume=5\n"))
    }

    @Test mutating func numberOfTheSessionAloneSaysNothing() {
        _ = hear(Self.welcome, "WATCHING")
        _ = core.ended(Self.lost)
        #expect(hear(Self.welcome(session: 1, isNew: true)) == [.event(.missed(count: nil)), Self.watch])
    }

    @Test mutating func watchThatHasNotBegunIsAskedForAgain() {
        _ = hear(Self.welcome)
        _ = core.ended(Self.lost)
        #expect(hear(Self.welcome) == [Self.watch])
        #expect(hear("WATCHING", "* MISSED count=1", "WATCHING") == [.started, .event(.missed(count: 1))])
        _ = core.ended(Self.lost)
        #expect(hear(Self.welcome) == [], "it has begun")
    }

    @Test mutating func watchThatHasNotBegunHasMissedNothing() {
        _ = hear(Self.welcome)
        _ = core.ended(Self.lost)
        #expect(hear(Self.welcome(session: 5)) == [Self.watch])
    }

    @Test mutating func attemptsAreMadeUntilThereIsADaemon() {
        _ = hear(Self.welcome, "WATCHING")
        #expect(core.ended(Self.lost) == .retry(after: .zero))
        for _ in 0..<100 {
            guard case .retry(let delay) = core.ended(Self.lost) else {
                Issue.record("given up")
                return
            }
            #expect(delay > .zero && delay <= .seconds(1))
        }
        _ = hear(Self.welcome, "* MISSED count=1")
        #expect(core.ended(Self.lost) == .retry(after: .zero), "there was one")
    }

    @Test func firstAttemptIsTheOnlyOne() {
        var core = core
        #expect(core.ended(Self.lost) == .failed(Self.lost))
        #expect(core.ended(Self.lost) == .failed(Self.lost))
    }

    @Test mutating func halfALineDoesNotReachTheNextConnection() {
        _ = hear(Self.welcome, "WATCHING")
        _ = core.receive(Array("* MIS".utf8))
        _ = core.ended(Self.lost)
        #expect(hear(Self.welcome) == [])
    }

    @Test(arguments: ["too-many-sessions limit=1 scope=daemon", "log-full"])
    mutating func sessionForWhichThereIsNoRoomYetIsTriedAgain(_ refusal: String) {
        _ = hear(Self.welcome, "WATCHING")
        _ = core.ended(Self.lost)
        #expect(hear("ERROR \(refusal)", "PONG") == [.shutDown])
        guard case .retry = core.ended(Self.lost) else {
            Issue.record("given up")
            return
        }
        #expect(hear(Self.welcome) == [])
    }

    @Test mutating func sessionOfAnotherProcessIsNotTriedAgain() {
        _ = hear(Self.welcome, "WATCHING")
        _ = core.ended(Self.lost)
        let signals = hear("ERROR foreign-process key=resume got=1 want=session-of-your-process")
        guard case .failed(let error) = signals.first else {
            Issue.record("\(signals)")
            return
        }
        #expect(error.code == .refused)
        #expect(core.ended(Self.lost) == .failed(Self.lost))
    }
}
