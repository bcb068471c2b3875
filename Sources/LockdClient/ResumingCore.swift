import LockdModel
package import LockdWire

/// The rules of a session of a command-line tool: it has one request at a time, and goes on when the daemon restarts.
///
/// A plain value that performs no I/O and reads no clock. What it does is what ``ClientCore`` does for many callers.
package struct ResumingCore: Sendable {
    /// What is to be done.
    enum Signal: Equatable, Sendable {
        /// Say this to the daemon: few bytes, which fit into any socket; along with the descriptor that belongs to the request, if `hasDescriptor`.
        case send([UInt8], hasDescriptor: Bool = false)
        case hear(News)
        /// End the connection; there is to be another one.
        case shutDown
        /// Nothing more can be asked.
        case fail(Failure)
    }

    /// What a tool is told.
    package enum News: Equatable, Sendable {
        /// The session has begun.
        case welcome(Reply.Welcome)
        /// What comes before an answer, or was not asked for.
        case aside(Reply)
        case answer(Reply)
        /// The daemon does not know the session any more: nothing is held. A request that is not answered is asked anew.
        case forgotten
    }

    package enum Failure: Error, Equatable, CustomStringConvertible {
        case refused(WireError)
        case malformed(MalformedReply)
        case outOfPlace(Reply)

        package var description: String {
            switch self {
            case .refused(let error): "\(LockdClientError.refused(error, names: nil))"
            case .malformed(let reply): "\(reply)"
            case .outOfPlace(let reply): "lockd answered out of turn: \(reply)"
            }
        }
    }

    private enum State {
        /// Next: resuming, connected, disturbed, over.
        case greeting
        /// What the daemon had not said before is heard. Next: connected.
        case resuming
        case connected
        /// The connection is of no use, and not over yet. Next: greeting.
        case disturbed
        case over
    }

    private let client: Text?
    private var state = State.greeting
    private var session: SessionID?
    private var request: Outstanding?
    private var lastTag: UInt64 = 0
    /// The tag of the request.
    private var requestTag: UInt64 = 0
    private var barrierTag: UInt64?
    private var backoff: Backoff
    private var framer = ClientCore.makeFramer()

    init(client: Text?, seed: UInt64 = 1) {
        self.client = client
        backoff = Backoff(seed: seed)
    }

    /// Whether requests are said at once.
    var isConnected: Bool { state == .connected }

    /// What is said first on each connection.
    var greeting: [UInt8] { Self.line(nil, .hello(Request.Hello(client: client, resume: session))) }

    private static func line(_ tag: UInt64?, _ request: Request) -> [UInt8] {
        var bytes: [UInt8] = []
        RequestEncoder.encode(TaggedRequest(tag: tag.map { Tag($0) }, request), to: &bytes)
        return bytes
    }

    private mutating func makeTag() -> UInt64 {
        lastTag += 1
        return lastTag
    }

    /// Asks, now or as soon as there is a connection.
    ///
    /// The request before has to be answered.
    mutating func ask(_ request: Request, with descriptor: Descriptor?, at now: MonotonicInstant) -> [Signal] {
        precondition(self.request == nil, "there is another request: \(request)")
        requestTag = makeTag()
        self.request = Outstanding(asking: request, with: descriptor, at: now)
        return state == .connected ? say(now) : []
    }

    private mutating func say(_ now: MonotonicInstant) -> [Signal] {
        guard var request else { return [] }
        request.isRepeated = request.isSent
        request.isSent = true
        self.request = request
        let line = Self.line(requestTag, request.request(at: now))
        return [.send(line, hasDescriptor: request.descriptor != nil)]
    }

    /// What the daemon has said with `bytes`.
    mutating func receive(_ bytes: [UInt8], at now: MonotonicInstant) -> [Signal] {
        bytes.withUnsafeBytes { framer.append($0) }
        var signals: [Signal] = []
        while state != .over, state != .disturbed, let line = nextLine() {
            switch line {
            case .success(let line?): signals += self.signals(of: line, now)
            // An event that this version does not know.
            case .success(nil): break
            case .failure(let problem): signals.append(fail(.malformed(problem)))
            }
        }
        return signals
    }

    private mutating func nextLine() -> Result<TaggedReply?, MalformedReply>? {
        framer.nextLine { line in
            switch line {
            case .complete(let bytes), .tooLong(let bytes):
                Result { () throws(MalformedReply) in try ReplyDecoder.decode(bytes) }
            }
        }
    }

    /// The connection is over, or could not be made; returns after how long there is to be another attempt, `nil` if none.
    mutating func ended() -> Milliseconds? {
        if session == nil || state == .over { return nil }
        state = .greeting
        framer = ClientCore.makeFramer()
        return backoff.next()
    }

    private mutating func signals(of line: TaggedReply, _ now: MonotonicInstant) -> [Signal] {
        if let tag = line.tag { return signals(of: line.reply, tag, now) }
        switch (state, line.reply) {
        case (.greeting, .welcome(let welcome)): return welcomed(welcome, now)
        case (.greeting, .error(let error)) where session != nil && error.isTransient:
            state = .disturbed
            return [.shutDown]
        case (_, .error(let error)): return [fail(.refused(error))]
        case (.resuming, .restored), (.connected, .restored): return []
        case (.resuming, .lost), (.connected, .lost), (.resuming, .lostEverything), (.connected, .lostEverything),
            (.resuming, .watched), (.connected, .watched):
            return [.hear(.aside(line.reply))]
        default: return [fail(.outOfPlace(line.reply))]
        }
    }

    private mutating func welcomed(_ welcome: Reply.Welcome, _ now: MonotonicInstant) -> [Signal] {
        let isNew = session != nil && !welcome.isResumption(of: session)
        let isResumed = session != nil && !isNew
        session = welcome.session
        if isResumed {
            state = .resuming
            barrierTag = makeTag()
            return [.send(Self.line(barrierTag, .ping))]
        }
        state = .connected
        if isNew { request?.isSent = false }
        return [.hear(isNew ? .forgotten : .welcome(welcome))] + say(now)
    }

    private mutating func signals(of reply: Reply, _ tag: Tag, _ now: MonotonicInstant) -> [Signal] {
        if let barrierTag, tag == Tag(barrierTag) {
            self.barrierTag = nil
            state = .connected
            return say(now)
        }
        // A second answer means nothing.
        guard let request, request.isSent, tag == Tag(requestTag) else { return [] }
        switch (state, reply) {
        // What is told in several lines may come without the first of them, and a wait may have ended because nobody was there: it is asked for again.
        case (.resuming, .edge), (.resuming, .deadlock), (.resuming, .hold), (.resuming, .cancelled): return []
        case (_, .cancelled) where request.isRepeated: return say(now)
        case (_, .queued), (_, .edge), (_, .hold): return [.hear(.aside(reply))]
        default:
            self.request = nil
            backoff.reset()
            // The daemon may take what was sent again for a new request, of which nothing is to come.
            let cancel = request.isRepeated ? [Signal.send(Self.line(makeTag(), .cancel(tag)))] : []
            return [.hear(.answer(reply))] + cancel
        }
    }

    private mutating func fail(_ failure: Failure) -> Signal {
        state = .over
        return .fail(failure)
    }
}

extension Outstanding {
    /// The one request of a tool.
    init(asking request: Request, with descriptor: Descriptor? = nil, at now: MonotonicInstant) {
        let purpose: Purpose =
            if case .acquire(let terms) = request { .acquire(terms.names, timeToLive: terms.timeToLive) } else { .ping }
        self.init(purpose: purpose, request: request, descriptor: descriptor, askedAt: now)
    }
}
