import LockdModel
import LockdWire

/// The rules of a session that watches: what is said to the daemon, and what its lines mean.
///
/// A plain value that performs no I/O.
struct WatchCore: Sendable {
    /// What a line is to whoever watches.
    enum Signal: Equatable, Sendable {
        /// Whatever happens from now on is told.
        case started
        case event(WatchEvent)
        /// Nothing more is told.
        case failed(LockdClientError)
    }

    private enum State {
        /// Next: asking.
        case greeting
        /// Next: watching.
        case asking
        case watching
        /// From each of the others.
        case over
    }

    /// A line of this version has less than 16 KiB; the rest is room for later versions.
    private static let replyLineLimit = 64 * 1024

    /// For the messages of errors.
    private let path: String
    private var state = State.greeting
    private var framer = LineFramer(limit: replyLineLimit)

    init(path: String) { self.path = path }

    /// What is said first, and all that is ever said.
    static func opening(prefix: LockName?) -> [UInt8] {
        var bytes: [UInt8] = []
        RequestEncoder.encode(TaggedRequest(.hello(Request.Hello(client: ClientLibrary.text))), to: &bytes)
        RequestEncoder.encode(TaggedRequest(.watch(prefix: prefix)), to: &bytes)
        return bytes
    }

    /// What the daemon has said with `bytes`.
    mutating func receive(_ bytes: [UInt8]) -> [Signal] {
        bytes.withUnsafeBytes { framer.append($0) }
        var signals: [Signal] = []
        while state != .over, let line = nextLine() {
            switch line {
            case .success(let line?): signals += signal(of: line.reply).map { [$0] } ?? []
            // An event that this version does not know.
            case .success(nil): break
            case .failure(let problem): signals.append(fail(.incompatibleDaemon(path, "\(problem)")))
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

    private mutating func signal(of reply: Reply) -> Signal? {
        switch (state, reply) {
        case (.greeting, .welcome):
            state = .asking
            return nil
        case (.asking, .watching):
            state = .watching
            return .started
        case (.watching, .watched(let event)): return .event(WatchEvent(event))
        case (_, .error(let error)): return fail(.refused(error, names: nil))
        default: return fail(.outOfPlace(path, reply))
        }
    }

    private mutating func fail(_ error: LockdClientError) -> Signal {
        state = .over
        return .failed(error)
    }
}
