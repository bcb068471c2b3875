import LockdModel
import LockdWire
import Testing

@testable import LockdClient

/// What each event does in each state of the connection.
@Suite struct ClientCoreCellTests {
    enum State: CaseIterable, CustomTestStringConvertible {
        /// Nothing was asked for yet.
        case none
        /// A PING, #1, waits for it, behind the HELLO, #2.
        case connecting
        /// The same.
        case greeting
        /// The lock `a` is held under token 7 and was granted to #3, its renewal is due; #4 waits for `b`.
        case connected
        /// The same, after the connection was lost and one attempt, whose HELLO was #5, has failed; the next one is due.
        case detached
        /// The same, during the first attempt.
        case reconnecting
        /// The same; the HELLO is sent.
        case greetingAgain
        /// The same; the PING that shows the end of what was left to be said is #6.
        case resuming
        /// As connected, after #5 has asked to close.
        case closing
        /// As detached, after #6 has asked to close.
        case closingDetached
        /// As greetingAgain, after #6 has asked to close.
        case closingAgain
        /// Nothing is held and nothing was asked for when the connection was lost.
        case idle
        case closed

        var testDescription: String { "\(self)" }

        var fixture: CoreFixture {
            var fixture: CoreFixture
            switch self {
            case .none: fixture = CoreFixture()
            case .connecting, .greeting:
                fixture = CoreFixture()
                _ = fixture.ping()
                if self == .greeting { _ = fixture.apply(.connected(CoreFixture.first)) }
            case .connected, .detached, .reconnecting, .greetingAgain, .resuming:
                fixture = Self.lost(self)
            case .closing, .closingDetached, .closingAgain:
                fixture = Self.lost(
                    self == .closing ? .connected : self == .closingDetached ? .detached : .greetingAgain
                )
                _ = fixture.close()
            case .idle:
                fixture = .connected()
                _ = fixture.lose()
            case .closed:
                fixture = State.closing.fixture
                _ = fixture.hear("#6 BYE")
            }
            fixture.now = fixture.now + .seconds(10)
            return fixture
        }

        private static func lost(_ state: State) -> CoreFixture {
            var fixture = CoreFixture.holding("a", token: 7, timeToLive: .seconds(30))
            _ = fixture.acquire("b")
            if state == .connected { return fixture }
            _ = fixture.lose()
            if state == .detached { _ = fixture.fail() }
            if [.greetingAgain, .resuming].contains(state) { _ = fixture.apply(.connected(CoreFixture.second)) }
            if state == .resuming { _ = fixture.hear(CoreFixture.welcome(5)) }
            return fixture
        }
    }

    /// Applies the event, on the connection that there is, in each state.
    private func check(
        _ event: (ConnectionID) -> ClientEvent,
        _ expected: [State: [String]],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for state in State.allCases {
            var fixture = state.fixture
            let words = fixture.apply(event(fixture.connection))
            #expect(words == expected[state] ?? [], "\(state)", sourceLocation: sourceLocation)
            // Whatever happens, somebody who may ask for something has a future: an answer, a connection, or an instant to wait for.
            if fixture.core.isInUse, case .detached(let instant) = fixture.core.connection {
                #expect(instant != nil, "\(state)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test func acquireRequested() {
        check(
            { _ in .acquireRequested(RequestID(90), .to("n")) },
            [
                .none: ["connect 1"], .connected: ["> #90 ACQUIRE n"], .idle: ["reconnect 2"],
                .closing: ["90 closed"], .closingDetached: ["90 closed"], .closingAgain: ["90 closed"],
                .closed: ["90 closed"],
            ]
        )
    }

    @Test func pingRequested() {
        check(
            { _ in .pingRequested(RequestID(90)) },
            [
                .none: ["connect 1"], .connected: ["> #90 PING"], .idle: ["reconnect 2"],
                .closing: ["90 closed"], .closingDetached: ["90 closed"], .closingAgain: ["90 closed"],
                .closed: ["90 closed"],
            ]
        )
    }

    @Test func releaseRequested() {
        check(
            { _ in .releaseRequested(RequestID(90), FencingToken(7)) },
            [
                .none: ["90 done"], .connecting: ["90 done"], .greeting: ["90 done"],
                .connected: ["> #90 RELEASE a token=7"], .idle: ["90 done"],
                .closing: ["90 done"], .closingDetached: ["90 done"], .closingAgain: ["90 done"], .closed: ["90 done"],
            ]
        )
    }

    @Test func closeRequested() {
        let ended = ["7 lost, closed", "4 closed"]
        check(
            { _ in .closeRequested(RequestID(90)) },
            [
                .none: ["90 done"], .connecting: ["1 closed", "90 done"],
                .greeting: ["1 closed", "90 done", "shut down 1"],
                .connected: ended + ["> #5 QUIT"], .detached: ended, .reconnecting: ended, .greetingAgain: ended,
                .resuming: ended + ["> #7 QUIT"], .idle: ["90 done"], .closed: ["90 done"],
            ]
        )
    }

    @Test func waitCancelled() {
        let isOver = ["4 cancelled"]
        check(
            { _ in .requestCancelled(RequestID(4)) },
            [
                .connected: isOver + ["> #5 CANCEL #4"], .detached: isOver, .reconnecting: isOver,
                .greetingAgain: isOver, .resuming: isOver,
            ]
        )
    }

    @Test func pingCancelled() {
        check(
            { _ in .requestCancelled(RequestID(1)) },
            [.connecting: ["1 cancelled"], .greeting: ["1 cancelled"]]
        )
    }

    @Test func closeCancelled() {
        check({ _ in .requestCancelled(RequestID(5)) }, [.closing: ["5 done", "shut down 1"]])
        check({ _ in .requestCancelled(RequestID(6)) }, [.closingDetached: ["6 done"], .closingAgain: ["6 done"]])
    }

    @Test func clientDropped() {
        // While a lease is held or a request waits, nothing happens; see ClientCoreEndTests.
        check({ _ in .clientDropped }, [:])
    }

    @Test func connected() {
        check(
            { .connected($0) },
            [
                .none: ["shut down 1"], .connecting: ["> #2 HELLO v=1 client=lockd-swift/0.1.0"],
                .greeting: ["shut down 1"], .connected: ["shut down 1"], .detached: ["shut down 1"],
                .reconnecting: ["> #5 HELLO v=1 client=lockd-swift/0.1.0 resume=1"],
                .greetingAgain: ["shut down 2"], .resuming: ["shut down 2"], .closing: ["shut down 1"],
                .closingDetached: ["shut down 1"], .closingAgain: ["shut down 2"], .idle: ["shut down 1"],
                .closed: ["shut down 1"],
            ]
        )
    }

    @Test func grantReceived() {
        check(
            { .received($0, Array("#4 GRANTED b token=8\n".utf8)) },
            [.connected: ["4 granted b 8"], .greetingAgain: ["4 granted b 8"], .resuming: ["4 granted b 8"]]
        )
    }

    @Test func lossReceived() {
        let isLost = ["7 lost, expired"]
        check(
            { .received($0, Array("* LOST a token=7 reason=expired\n".utf8)) },
            [.connected: isLost, .greetingAgain: isLost, .resuming: isLost]
        )
    }

    @Test func refusalOfTheSessionReceived() {
        let isOver = ["7 lost, connectionLost", "4 limitReached"]
        check(
            { .received($0, Array("ERROR too-many-sessions limit=1 scope=daemon\n".utf8)) },
            [
                .greeting: ["shut down 1", "1 limitReached"], .connected: ["shut down 1"] + isOver,
                // There may be room soon, and the session is kept until then.
                .greetingAgain: ["shut down 2"], .closingAgain: ["shut down 2"],
                .resuming: ["shut down 2"] + isOver,
            ]
        )
    }

    @Test func nonsenseReceived() {
        let isOver = ["7 lost, connectionLost", "4 incompatibleDaemon"]
        check(
            { .received($0, Array("HTTP/1.1 400\n".utf8)) },
            [
                .greeting: ["shut down 1", "1 incompatibleDaemon"], .connected: ["shut down 1"] + isOver,
                .greetingAgain: ["shut down 2"] + isOver, .resuming: ["shut down 2"] + isOver,
                .closing: ["shut down 1", "5 done"], .closingAgain: ["shut down 2", "6 done"],
            ]
        )
    }

    @Test func sent() {
        check({ .sent($0, byteCount: 0) }, [:])
    }

    @Test func sendFailed() {
        check(
            { .sendFailed($0) },
            [
                .connecting: ["shut down 1"], .greeting: ["shut down 1"], .connected: ["shut down 1"],
                .reconnecting: ["shut down 2"], .greetingAgain: ["shut down 2"], .resuming: ["shut down 2"],
                .closing: ["shut down 1"], .closingAgain: ["shut down 2"],
            ]
        )
    }

    @Test func becameWritable() {
        check({ .becameWritable($0) }, [:])
    }

    @Test func ended() {
        check(
            { .ended($0, .connectionLost("/test.sock", "test")) },
            [
                .connecting: ["1 connectionLost"], .greeting: ["1 connectionLost"], .connected: ["reconnect 2"],
                .closing: ["reconnect 2"],
            ]
        )
    }

    @Test func timePassed() {
        check(
            { _ in .timePassed },
            [
                .connected: ["> #5 RENEW a token=7"], .detached: ["reconnect 3"],
                .closingDetached: ["6 done", "reconnect 3"], .closingAgain: ["6 done"],
            ]
        )
    }
}
