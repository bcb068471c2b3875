import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// The session of a command-line tool, which has one request at a time.
@Suite struct ResumingCoreTests {
    private static let hello = "HELLO v=1 client=tool/1"

    private var core = ResumingCore(client: try? Text("tool/1", limit: Text.shortLimit))
    private var now = MonotonicInstant(nanoseconds: 0)

    private static func welcome(session: UInt64 = 1, isResumed: Bool = false) -> String {
        "WELCOME lockd=0 v=1 session=\(session) pid=1 features=resume line=8192 name=255"
            + (isResumed ? " leases=0 waiters=0" : "")
    }

    private static func words(_ signals: [ResumingCore.Signal]) -> [String] {
        signals.map { signal in
            switch signal {
            case .send(let bytes, let hasDescriptor):
                "> " + String(decoding: bytes.dropLast(), as: UTF8.self) + (hasDescriptor ? " + descriptor" : "")
            case .hear(.welcome): "welcome"
            case .hear(.aside(let reply)): "aside " + line(reply)
            case .hear(.answer(let reply)): "answer " + line(reply)
            case .hear(.forgotten): "forgotten"
            case .shutDown: "shut down"
            case .fail(let failure): "fail: \(failure)"
            }
        }
    }

    private static func line(_ reply: Reply) -> String {
        var bytes: [UInt8] = []
        ReplyEncoder.encode(reply, tag: nil, to: &bytes)
        return String(decoding: bytes.dropLast(), as: UTF8.self)
    }

    private mutating func hear(_ lines: String...) -> [String] {
        Self.words(core.receive(lines.flatMap { Array("\($0)\n".utf8) }, at: now))
    }

    private mutating func ask(_ request: Request, with descriptor: Descriptor? = nil) -> [String] {
        Self.words(core.ask(request, with: descriptor, at: now))
    }

    private mutating func acquire(_ name: String, wait: WaitTimeout = .never) -> [String] {
        var terms = AcquireTerms.to(name)
        terms.wait = wait
        return ask(.acquire(terms))
    }

    private mutating func lose() { _ = core.ended() }

    @Test mutating func requestIsAnsweredUnderItsTag() {
        #expect(String(decoding: core.greeting, as: UTF8.self) == Self.hello + "\n")
        #expect(hear(Self.welcome()) == ["welcome"])
        #expect(acquire("a") == ["> #1 ACQUIRE a"])
        #expect(
            hear("#1 QUEUED a position=1 waiters=1", "#1 GRANTED a token=7", "#1 GRANTED a token=7")
                == ["aside QUEUED a position=1 waiters=1", "answer GRANTED a token=7"],
            "a second answer means nothing"
        )
        #expect(hear("* LOST a token=7 reason=expired") == ["aside * LOST a token=7 reason=expired"])
        #expect(ask(.release(AcquireTerms.to("a").names.first, token: FencingToken(7))) == ["> #2 RELEASE a token=7"])
    }

    @Test mutating func requestWaitsForTheDaemonsFirstWord() {
        #expect(acquire("a") == [])
        #expect(hear(Self.welcome()) == ["welcome", "> #1 ACQUIRE a"])
    }

    @Test mutating func waitIsResumed() {
        _ = hear(Self.welcome())
        _ = acquire("a", wait: .after(.seconds(10)))
        #expect(core.ended() == .zero)
        now = now + .seconds(4)
        #expect(String(decoding: core.greeting, as: UTF8.self) == Self.hello + " resume=1\n")
        #expect(hear(Self.welcome(isResumed: true)) == ["> #2 PING"])
        #expect(!core.isConnected)
        #expect(hear("#1 CANCELLED a waited=1ms", "#2 PONG") == ["> #1 ACQUIRE a wait=6s"])
        #expect(core.isConnected)
        #expect(hear("#1 CANCELLED a waited=1ms") == ["> #1 ACQUIRE a wait=6s"], "its end crossed with the request")
        #expect(hear("#1 GRANTED a token=7") == ["answer GRANTED a token=7", "> #3 CANCEL #1"])
        #expect(hear("#3 NOTWAITING #1") == [])
    }

    @Test mutating func whatWasNotSaidBeforeIsHeard() {
        _ = hear(Self.welcome())
        _ = acquire("a")
        lose()
        _ = hear(Self.welcome(isResumed: true))
        #expect(hear("#1 GRANTED a token=7", "#2 PONG") == ["answer GRANTED a token=7"])
        lose()
        #expect(
            hear(Self.welcome(isResumed: true), "* LOST reason=log-damaged", "#3 PONG")
                == ["> #3 PING", "aside * LOST reason=log-damaged"]
        )
    }

    @Test mutating func edgesAreToldAsAWhole() {
        let edge = "EDGE a waiter-pid=1 waiter-session=2 holder-pid=9 holder-session=1 held=1ms token=3"
        _ = hear(Self.welcome())
        _ = acquire("a")
        lose()
        _ = hear(Self.welcome(isResumed: true))
        #expect(hear("#1 \(edge)", "#1 DEADLOCK a edges=2", "#2 PONG") == ["> #1 ACQUIRE a"])
        #expect(hear("#1 \(edge)", "#1 DEADLOCK a edges=1").count == 3)
    }

    @Test mutating func descriptorIsSentAgain() {
        _ = hear(Self.welcome())
        let descriptor = Descriptor(owning: dup(STDERR_FILENO))
        #expect(ask(.acquire(.to("a")), with: descriptor) == ["> #1 ACQUIRE a + descriptor"])
        lose()
        #expect(hear(Self.welcome(isResumed: true), "#2 PONG") == ["> #2 PING", "> #1 ACQUIRE a + descriptor"])
    }

    @Test(arguments: [(1, false), (9, false), (9, true)] as [(UInt64, Bool)])
    mutating func forgottenSessionIsTold(_ session: UInt64, _ isResumed: Bool) {
        _ = hear(Self.welcome())
        _ = acquire("a")
        lose()
        #expect(
            hear(Self.welcome(session: session, isResumed: isResumed)) == ["forgotten", "> #1 ACQUIRE a"]
        )
        #expect(hear("#1 GRANTED a token=7") == ["answer GRANTED a token=7"], "it was asked once in this session")
    }

    @Test mutating func restartThatTheSocketSurvivesChangesNothing() {
        _ = hear(Self.welcome())
        _ = acquire("a")
        #expect(hear("* RESTORED session=1 leases=0 waiters=1", "* NEWS") == [])
    }

    @Test mutating func attemptsGoOnOnceThereWasADaemon() {
        #expect(core.ended() == nil)
        core = ResumingCore(client: nil)
        _ = hear(Self.welcome())
        #expect(core.ended() == .zero)
        for _ in 0..<100 { #expect(core.ended().map { (Milliseconds(5)...Backoff.longest).contains($0) } == true) }
    }

    @Test(arguments: ["too-many-sessions limit=1 scope=user", "log-full"])
    mutating func sessionForWhichThereIsNoRoomYetIsTriedAgain(_ refusal: String) {
        _ = hear(Self.welcome())
        lose()
        #expect(hear("ERROR \(refusal)", "PONG") == ["shut down"])
        #expect(core.ended() != nil)
        #expect(hear(Self.welcome(isResumed: true)) == ["> #1 PING"])
    }

    @Test mutating func halfALineDoesNotReachTheNextConnection() {
        _ = hear(Self.welcome())
        _ = core.receive(Array("#1 GRA".utf8), at: now)
        lose()
        #expect(hear(Self.welcome(isResumed: true)) == ["> #1 PING"])
    }

    @Test(arguments: [
        ("ERROR too-many-sessions limit=1 scope=user", "limit of 1"), ("PONG", "out of turn"), ("HTTP/1.1 400", "400"),
    ])
    mutating func whatIsNoDaemonIsGivenUp(_ line: String, _ words: String) {
        let heard = hear(line, Self.welcome())
        #expect(heard.count == 1)
        #expect(heard.first?.hasPrefix("fail: ") == true && heard.first?.contains(words) == true, "\(heard)")
        #expect(core.ended() == nil)
    }

    @Test mutating func sessionOfAnotherProcessIsNotTriedAgain() {
        _ = hear(Self.welcome())
        lose()
        #expect(hear("ERROR foreign-process key=resume got=1 want=session-of-your-process").count == 1)
        #expect(core.ended() == nil)
    }
}
