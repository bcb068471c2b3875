import LockdModel
import LockdWire

/// The rules of a session that watches: what is said to the daemon, and what its lines mean.
///
/// A plain value that performs no I/O. The session is resumed on the next connection, as that of a ``ClientCore`` is, and so is the watch.
struct WatchCore: Sendable {
    /// What is to be done because of a line.
    enum Signal: Equatable, Sendable {
        /// Say this to the daemon: few bytes, which fit into any socket.
        case send([UInt8])
        /// Whatever happens from now on is told.
        case started
        case event(WatchEvent)
        /// End the connection; there is to be another one.
        case shutDown
        /// Nothing more is told.
        case failed(LockdClientError)
    }

    /// What comes of the end of a connection, or of an attempt to make one.
    enum Sequel: Equatable, Sendable {
        case retry(after: Milliseconds)
        case failed(LockdClientError)
    }

    private enum State {
        /// A connection is to be made or greeted on. Next: asking, watching, disturbed.
        case greeting
        /// The daemon is still to say that it takes note. Next: watching, greeting (the connection is lost).
        case asking
        /// Next: greeting (the connection is lost).
        case watching
        /// The connection is of no use, and not over yet. Next: greeting.
        case disturbed
        /// From each of the others.
        case over
    }

    /// A line of this version has less than 16 KiB; the rest is room for later versions.
    private static let replyLineLimit = 64 * 1024

    /// For the messages of errors.
    private let path: String
    private let prefix: LockName?
    private var state = State.greeting
    private var session: SessionID?
    /// Whether whoever watches knows that it does.
    private var isStarted = false
    private var backoff: Backoff
    private var framer = LineFramer(limit: replyLineLimit)

    init(path: String, prefix: LockName?, seed: UInt64 = 1) {
        self.path = path
        self.prefix = prefix
        backoff = Backoff(seed: seed)
    }

    /// Whether there was a connection before, so that the next one is made without waiting for room in the backlog.
    var isResuming: Bool { session != nil }

    /// What is said first on each connection.
    var greeting: [UInt8] { Self.line(.hello(Request.Hello(client: ClientLibrary.text, resume: session))) }

    private static func line(_ request: Request) -> [UInt8] {
        var bytes: [UInt8] = []
        RequestEncoder.encode(TaggedRequest(request), to: &bytes)
        return bytes
    }

    /// What the daemon has said with `bytes`.
    mutating func receive(_ bytes: [UInt8]) -> [Signal] {
        bytes.withUnsafeBytes { framer.append($0) }
        var signals: [Signal] = []
        while state != .over, state != .disturbed, let line = nextLine() {
            switch line {
            case .success(let line?): signals += self.signals(of: line.reply)
            // An event that this version does not know.
            case .success(nil): break
            case .failure(let problem): signals.append(fail(.incompatibleDaemon(path, "\(problem)")))
            }
        }
        return signals
    }

    /// The connection is over, or could not be made.
    mutating func ended(_ error: LockdClientError) -> Sequel {
        if session == nil || state == .over {
            state = .over
            return .failed(error)
        }
        state = .greeting
        framer = LineFramer(limit: Self.replyLineLimit)
        return .retry(after: backoff.next())
    }

    private mutating func nextLine() -> Result<TaggedReply?, MalformedReply>? {
        framer.nextLine { line in
            switch line {
            case .complete(let bytes), .tooLong(let bytes):
                Result { () throws(MalformedReply) in try ReplyDecoder.decode(bytes) }
            }
        }
    }

    private mutating func signals(of reply: Reply) -> [Signal] {
        switch (state, reply) {
        case (.greeting, .welcome(let welcome)): return welcomed(welcome)
        case (.asking, .watching):
            state = .watching
            return start()
        // It is answered twice, if it was asked for twice because a connection was lost.
        case (.watching, .watching): return []
        case (.watching, .watched(let event)):
            backoff.reset()
            return [.event(WatchEvent(event))]
        case (.watching, .restored), (.asking, .restored): return []
        case (.greeting, .error(let error)) where session != nil && error.isTransient:
            state = .disturbed
            return [.shutDown]
        case (_, .error(let error)): return [fail(.refused(error, names: nil))]
        default: return [fail(.outOfPlace(path, reply))]
        }
    }

    private mutating func welcomed(_ welcome: Reply.Welcome) -> [Signal] {
        let isResumed = welcome.isResumption(of: session)
        let isNew = session != nil && !isResumed
        session = welcome.session
        if isResumed, isStarted {
            state = .watching
            return []
        }
        state = .asking
        let request = Signal.send(Self.line(.watch(prefix: prefix)))
        return isNew && isStarted ? [.event(.missed(count: nil)), request] : [request]
    }

    private mutating func start() -> [Signal] {
        backoff.reset()
        if isStarted { return [] }
        isStarted = true
        return [.started]
    }

    private mutating func fail(_ error: LockdClientError) -> Signal {
        state = .over
        return .failed(error)
    }
}

extension WireError {
    /// Whether the daemon may take a session later that it does not take now.
    var isTransient: Bool { code == .tooManySessions || code == .logFull }
}
