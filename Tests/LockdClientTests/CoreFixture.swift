import LockdModel
import LockdWire

@testable import LockdClient

/// A core with a clock that is moved by hand, whose actions are told in words.
struct CoreFixture {
    var core = ClientCore(path: "/test.sock")
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
        _ = fixture.hear(welcome(2), "#1 PONG")
        return fixture
    }

    /// The answer to the HELLO with the number `id`, in the first session or, if there was one before, in that one again, unless it `isNew`.
    static func welcome(_ id: UInt64, session: UInt64 = 1, isNew: Bool = false) -> String {
        "#\(id) WELCOME lockd=0 v=1 session=\(session) pid=1 features=ttl line=8192 name=255"
            + (isNew ? "" : " leases=0 waiters=0")
    }

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

    /// Connects `core`, whose HELLO has the number `id`.
    static func greet(_ core: inout ClientCore, _ id: UInt64) {
        for event in [ClientEvent.connected(first), .received(first, Array("\(welcome(id))\n".utf8))] {
            _ = core.apply(event, at: MonotonicInstant(nanoseconds: 0))
        }
    }

    /// The connection that there is, or the first one if there is none.
    var connection: ConnectionID {
        switch core.connection {
        case .connecting(let id), .greeting(let id), .resuming(let id), .connected(let id), .closing(let id): id
        case .none, .detached, .closed: Self.first
        }
    }

    mutating func acquire(
        _ name: String,
        wait: WaitTimeout = .never,
        queueLimit: Int? = nil,
        timeToLive: Milliseconds? = nil
    ) -> [String] {
        var terms = AcquireTerms.to(name, timeToLive: timeToLive)
        terms.wait = wait
        terms.queueLimit = queueLimit
        return apply(.acquireRequested(core.makeRequestID(), terms))
    }

    mutating func release(_ token: UInt64) -> [String] {
        apply(.releaseRequested(core.makeRequestID(), FencingToken(token)))
    }

    mutating func ping() -> [String] { apply(.pingRequested(core.makeRequestID())) }
    mutating func close() -> [String] { apply(.closeRequested(core.makeRequestID())) }
    mutating func cancel(_ id: UInt64) -> [String] { apply(.requestCancelled(RequestID(id))) }

    /// The daemon says `lines`.
    mutating func hear(_ lines: String...) -> [String] {
        apply(.received(connection, lines.flatMap { Array("\($0)\n".utf8) }))
    }

    /// The connection ends.
    mutating func lose() -> [String] {
        apply(.ended(connection, .connectionLost("/test.sock", "test")))
    }

    /// The attempt to connect fails.
    mutating func fail() -> [String] {
        apply(.ended(connection, .daemonUnavailable(ConnectFailure(path: "/test.sock", number: 2))))
    }

    /// The attempt to connect succeeds, and the daemon greets with the number `session`; returns what comes of that.
    mutating func greet(session: UInt64 = 1, isNew: Bool = false) -> [String] {
        let words = apply(.connected(connection))
        guard let hello = words.first?.split(separator: " ").dropFirst().first.flatMap({ UInt64($0.dropFirst()) })
        else {
            preconditionFailure("no greeting: \(words)")
        }
        return hear(Self.welcome(hello, session: session, isNew: isNew))
    }

    /// The same, and the daemon has nothing left to say to the session.
    mutating func resume() -> [String] {
        _ = greet()
        return hear("#\(nextID - 1) PONG")
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
        case .reconnect(let id): ["reconnect \(id.value)"]
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
