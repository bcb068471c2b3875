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
        /// The lock `a` is held under token 7 and was granted to #3, its renewal is due; #4 waits for `b`.
        case connected
        /// The same, after #5 has asked to close.
        case closing
        case closed

        var testDescription: String { "\(self)" }

        var fixture: CoreFixture {
            var fixture: CoreFixture
            switch self {
            case .none: fixture = CoreFixture()
            case .connecting:
                fixture = CoreFixture()
                _ = fixture.ping()
            case .connected:
                fixture = .holding("a", token: 7, timeToLive: .seconds(30))
                _ = fixture.acquire("b")
            case .closing:
                fixture = State.connected.fixture
                _ = fixture.close()
            case .closed:
                fixture = State.closing.fixture
                _ = fixture.lose()
            }
            fixture.now = fixture.now + .seconds(10)
            return fixture
        }
    }

    private static let connection = CoreFixture.first

    private func check(
        _ event: ClientEvent,
        _ expected: [State: [String]],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for state in State.allCases {
            var fixture = state.fixture
            #expect(fixture.apply(event) == expected[state] ?? [], "\(state)", sourceLocation: sourceLocation)
        }
    }

    @Test func acquireRequested() {
        check(
            .acquireRequested(RequestID(90), .to("n")),
            [
                .none: ["connect 1"], .connected: ["> #90 ACQUIRE n"], .closing: ["90 closed"], .closed: ["90 closed"],
            ]
        )
    }

    @Test func pingRequested() {
        check(
            .pingRequested(RequestID(90)),
            [.none: ["connect 1"], .connected: ["> #90 PING"], .closing: ["90 closed"], .closed: ["90 closed"]]
        )
    }

    @Test func releaseRequested() {
        check(
            .releaseRequested(RequestID(90), FencingToken(7)),
            [
                .none: ["90 done"], .connecting: ["90 done"], .connected: ["> #90 RELEASE a token=7"],
                .closing: ["90 done"], .closed: ["90 done"],
            ]
        )
    }

    @Test func closeRequested() {
        check(
            .closeRequested(RequestID(90)),
            [
                .none: ["90 done"], .connecting: ["1 closed", "90 done"],
                .connected: ["7 lost, closed", "4 closed", "> #5 QUIT"], .closing: [], .closed: ["90 done"],
            ]
        )
    }

    @Test func waitCancelled() {
        check(.requestCancelled(RequestID(4)), [.connected: ["4 cancelled", "> #5 CANCEL #4"]])
    }

    @Test func pingCancelled() {
        check(.requestCancelled(RequestID(1)), [.connecting: ["1 cancelled"]])
    }

    @Test func closeCancelled() {
        check(.requestCancelled(RequestID(5)), [.closing: ["5 done", "shut down 1"]])
    }

    @Test func clientDropped() {
        // While a lease is held or a request waits, nothing happens; see ClientCoreEndTests.
        check(.clientDropped, [:])
    }

    @Test func connected() {
        check(
            .connected(Self.connection),
            [
                .none: ["shut down 1"], .connecting: ["> #2 HELLO v=1 client=lockd-swift/0.1.0", "> #1 PING"],
                .connected: ["shut down 1"], .closing: ["shut down 1"], .closed: ["shut down 1"],
            ]
        )
    }

    @Test func received() {
        check(
            .received(Self.connection, Array("#4 GRANTED b token=8\n".utf8)),
            [.connected: ["4 granted b 8"]]
        )
    }

    @Test func sent() {
        check(.sent(Self.connection, byteCount: 0), [:])
    }

    @Test func sendFailed() {
        check(
            .sendFailed(Self.connection),
            [.connecting: ["shut down 1"], .connected: ["shut down 1"], .closing: ["shut down 1"]]
        )
    }

    @Test func becameWritable() {
        check(.becameWritable(Self.connection), [:])
    }

    @Test func ended() {
        check(
            .ended(Self.connection, .connectionLost("/test.sock", "test")),
            [
                .connecting: ["1 connectionLost"], .connected: ["7 lost, connectionLost", "4 connectionLost"],
                .closing: ["5 done"],
            ]
        )
    }

    @Test func timePassed() {
        check(.timePassed, [.connected: ["> #5 RENEW a token=7"]])
    }
}
