import LockdModel
import LockdWire

@testable import LockdClient

/// A core with a clock that is moved by hand, whose actions are told in words.
struct CoreFixture {
    private(set) var core = ClientCore(path: "/test.sock")
    var now = MonotonicInstant(nanoseconds: 0)
    /// Whether the socket takes whatever is sent, at once.
    var isSocketWilling = true

    static let first = ConnectionID(value: 1)
    static let second = ConnectionID(value: 2)

    /// A core that has been answered its HELLO, #2, and a PING, #1.
    static func connected() -> CoreFixture {
        var fixture = CoreFixture()
        _ = fixture.ping()
        _ = fixture.apply(.connected(first))
        _ = fixture.hear(welcome, "#1 PONG")
        return fixture
    }

    static let welcome = "#2 WELCOME lockd=0 v=1 session=1 pid=1 features=ttl line=8192 name=255"

    /// A core that holds `name` under `token`.
    static func holding(_ name: String, token: UInt64, timeToLive: Milliseconds? = nil) -> CoreFixture {
        var fixture = connected()
        let id = fixture.nextID
        _ = fixture.acquire(name, timeToLive: timeToLive)
        _ = fixture.hear("#\(id) GRANTED \(name) token=\(token)")
        return fixture
    }

    /// The number of the request that is made next.
    var nextID: UInt64 {
        var core = core
        return core.makeRequestID().value
    }

    mutating func acquire(_ name: String, timeToLive: Milliseconds? = nil) -> [String] {
        apply(.acquireRequested(core.makeRequestID(), .to(name, timeToLive: timeToLive)))
    }

    mutating func release(_ token: UInt64) -> [String] {
        apply(.releaseRequested(core.makeRequestID(), FencingToken(token)))
    }

    mutating func ping() -> [String] { apply(.pingRequested(core.makeRequestID())) }
    mutating func close() -> [String] { apply(.closeRequested(core.makeRequestID())) }
    mutating func cancel(_ id: UInt64) -> [String] { apply(.requestCancelled(RequestID(id))) }

    /// The daemon says `lines`.
    mutating func hear(_ lines: String..., on connection: ConnectionID = first) -> [String] {
        apply(.received(connection, lines.flatMap { Array("\($0)\n".utf8) }))
    }

    /// The connection ends.
    mutating func lose(_ connection: ConnectionID = first) -> [String] {
        apply(.ended(connection, .connectionLost("/test.sock", "test")))
    }

    mutating func wait(_ duration: Milliseconds) -> [String] {
        now = now + duration
        return apply(.timePassed)
    }

    /// Applies an event and what follows from it.
    mutating func apply(_ event: ClientEvent) -> [String] {
        var words: [String] = []
        for action in core.apply(event, at: now) {
            words += Self.words(for: action)
            if case .send(let id, let message) = action, isSocketWilling {
                words += apply(.sent(id, byteCount: message.bytes.count))
            }
        }
        return words
    }

    private static func words(for action: ClientAction) -> [String] {
        switch action {
        case .connect(let id): ["connect \(id.value)"]
        case .send(_, let message):
            String(decoding: message.bytes, as: UTF8.self).split(separator: "\n").map {
                message.descriptor == nil ? "> \($0)" : "> \($0) + descriptor"
            }
        case .awaitWritability: ["await writability"]
        case .shutDown(let id): ["shut down \(id.value)"]
        case .report(let id, let progress):
            ["\(id.value) waits #\(progress.position) of \(progress.waiterCount)"]
        case .complete(let id, .granted(let names, let token, _)): ["\(id.value) granted \(names) \(token)"]
        case .complete(let id, .bound(let names, let token, _)): ["\(id.value) bound \(names) \(token)"]
        case .complete(let id, .history(let leases)):
            ["\(id.value) history \(leases.map { "\($0.token)" }.joined(separator: ","))"]
        case .complete(let id, .done): ["\(id.value) done"]
        case .complete(let id, .cancelled): ["\(id.value) cancelled"]
        case .complete(let id, .failed(let error)): ["\(id.value) \(error.code)"]
        case .endLease(let token, .released): ["\(token) released"]
        case .endLease(let token, .lost(let loss)): ["\(token) lost, \(loss.reason)"]
        }
    }
}

extension AcquireTerms {
    /// A request for the names in `names`, which have spaces between them.
    static func to(_ names: String, timeToLive: Milliseconds? = nil) -> Self {
        guard let names = try? LockNames(names.split(separator: " ").map(String.init)) else {
            preconditionFailure("not names: \(names)")
        }
        return Self(names: names, timeToLive: timeToLive)
    }
}
