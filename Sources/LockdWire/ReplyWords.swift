import LockdModel

/// The first words of replies.
enum ReplyVerb: String {
    case welcome = "WELCOME"
    case granted = "GRANTED"
    case held = "HELD"
    case busy = "BUSY"
    case timedOut = "TIMEOUT"
    case cancelled = "CANCELLED"
    case released = "RELEASED"
    case renewed = "RENEWED"
    case notHeld = "NOTHELD"
    case notWaiting = "NOTWAITING"
    case lease = "LEASE"
    case waiter = "WAITER"
    case end = "END"
    case revoked = "REVOKED"
    case denied = "DENIED"
    case statistic = "STAT"
    case histogram = "HISTOGRAM"
    case pong = "PONG"
    case bye = "BYE"
    case error = "ERROR"
    case queued = "QUEUED"
    case deadlock = "DEADLOCK"
    case edge = "EDGE"
    case hold = "HOLD"
    case watching = "WATCHING"
    case unwatched = "UNWATCHED"
}

/// The first words of events.
enum EventVerb: String {
    case lost = "LOST"
    case restored = "RESTORED"
    case queued = "QUEUED"
    case unqueued = "UNQUEUED"
    case granted = "GRANTED"
    case released = "RELEASED"
    case expired = "EXPIRED"
    case revoked = "REVOKED"
    case abandoned = "ABANDONED"
    case missed = "MISSED"
}

/// Why a line is no reply.
enum ReplyProblem: Error, CustomStringConvertible {
    case notWords
    case unknownVerb
    case missing(StaticString)
    case bad(StaticString)

    var description: String {
        switch self {
        case .notWords: "not words of visible ASCII with one space between them"
        case .unknownVerb: "unknown reply"
        case .missing(let what): "no \(what)"
        case .bad(let what): "bad \(what)"
        }
    }
}

/// What is left of a reply: first its arguments, which are taken one after the other, then its fields, which are found
/// by their keys.
struct ReplyWords {
    private var words: Words
    /// Which fields there may be, so that those that are missing, as most are, are not looked for in the whole line.
    private let keys: KeySet

    init(_ line: UnsafeRawBufferPointer) {
        words = Words(line)
        keys = KeySet(of: words)
    }

    /// Whether the next word is a tag.
    var isAtTag: Bool {
        var ahead = words
        return ahead.next()?.first == UInt8(ascii: "#")
    }

    /// Takes the next word if it is `word`.
    mutating func skip(_ word: StaticString) -> Bool {
        var ahead = words
        guard ahead.next()?.isSpelled(word) == true else { return false }
        words = ahead
        return true
    }

    mutating func verb() throws(ReplyProblem) -> ReplyVerb {
        guard let verb = ReplyVerb(rawValue: .verbatim(try argument("verb"))) else { throw .unknownVerb }
        return verb
    }

    mutating func tag() throws(ReplyProblem) -> Tag {
        guard let tag = Tag(word: try argument("tag")) else { throw .bad("tag") }
        return tag
    }

    mutating func name() throws(ReplyProblem) -> LockName {
        let word = try argument("name")
        guard let name = try? LockName(parsing: word) else { throw .bad("name") }
        return name
    }

    /// Whether there is a next word that is no field.
    var hasArgument: Bool { nextArgument != nil }

    /// The next word as a name, unless it is a field or there is none.
    mutating func nameIfAny() throws(ReplyProblem) -> LockName? { nextArgument == nil ? nil : try name() }

    /// The names up to the first field.
    mutating func names() throws(ReplyProblem) -> LockNames {
        var names = LockNames(try name())
        while let word = nextArgument {
            guard let name = try? LockName(parsing: word), let more = names.adding(name) else { throw .bad("names") }
            names = more
            _ = words.next()
        }
        return names
    }

    /// The next word, unless it is a field.
    private var nextArgument: UnsafeRawBufferPointer? {
        var ahead = words
        return ahead.next().flatMap { $0.offset(of: UInt8(ascii: "=")) == nil ? $0 : nil }
    }

    mutating func argument(_ what: StaticString) throws(ReplyProblem) -> UnsafeRawBufferPointer {
        guard let word = words.next() else { throw .missing(what) }
        return word
    }

    /// What `read` makes of the value of the field `key`, or `nil` if there is no such field.
    func optional<Value>(
        _ key: StaticString,
        _ read: (UnsafeRawBufferPointer) -> Value?
    ) throws(ReplyProblem) -> Value? {
        guard keys.mayContain(key) else { return nil }
        var rest = words
        while let word = rest.next() {
            guard word.isField(key) else { continue }
            guard let value = read(word.from(key.utf8CodeUnitCount + 1)) else {
                throw .bad(key)
            }
            return value
        }
        return nil
    }

    /// What `read` makes of the value of the field `key`.
    func required<Value>(
        _ key: StaticString,
        _ read: (UnsafeRawBufferPointer) -> Value?
    ) throws(ReplyProblem) -> Value {
        guard let value = try optional(key, read) else { throw .missing(key) }
        return value
    }
}

/// The keys of a line, or a few more: a key is told from another by its length and first letter only.
private struct KeySet {
    private var bits: UInt64 = 0

    init(of words: Words) {
        var words = words
        while let word = words.next() {
            guard let equalsSign = word.offset(of: UInt8(ascii: "=")), let first = word.first else { continue }
            bits |= Self.bit(first, equalsSign)
        }
    }

    /// Whether `key` is one of them; if not, that is certain.
    func mayContain(_ key: StaticString) -> Bool { bits & Self.bit(key.utf8Start[0], key.utf8CodeUnitCount) != 0 }

    private static func bit(_ first: UInt8, _ count: Int) -> UInt64 {
        // Times 26, no two keys of a LEASE or a WAITER have one bit.
        1 << ((UInt64(first) &+ 26 &* UInt64(count)) & 63)
    }
}

/// The fields that several replies have.
extension ReplyWords {
    func token() throws(ReplyProblem) -> FencingToken {
        FencingToken(try required("token", UInt64.init(decimal:)))
    }

    func timeToLive() throws(ReplyProblem) -> Milliseconds? {
        try optional("ttl", Milliseconds.init(spelling:))
    }

    func waited() throws(ReplyProblem) -> Milliseconds {
        try required("waited", Milliseconds.init(spelling:))
    }

    func held() throws(ReplyProblem) -> Milliseconds { try required("held", Milliseconds.init(spelling:)) }

    func position() throws(ReplyProblem) -> Int { try required("position", Int.init(decimal:)) }

    func leaseCount() throws(ReplyProblem) -> Int { try required("leases", Int.init(decimal:)) }

    func waiterCount() throws(ReplyProblem) -> Int { try required("waiters", Int.init(decimal:)) }

    /// The holder, if the reply says how long somebody has been holding.
    func holder() throws(ReplyProblem) -> Reply.Holder? {
        guard let held = try optional("held", Milliseconds.init(spelling:)) else { return nil }
        return Reply.Holder(
            peer: try holderPeer(),
            held: held,
            note: try text("holder-note"),
            count: try optional("holders", Int.init(decimal:)) ?? 1
        )
    }

    func holderPeer() throws(ReplyProblem) -> Reply.Peer {
        Reply.Peer(
            session: try optional("holder-session", SessionID.init(decimal:)),
            process: try optional("holder-pid", ProcessID.init(decimal:)),
            user: try optional("holder-uid", UserID.init(decimal:)),
            command: try text("holder-command"),
            unit: try text("holder-unit")
        )
    }

    func holderLimit() throws(ReplyProblem) -> HolderLimit {
        if let count = try optional("limit", Int.init(decimal:)) {
            guard count > 0 else { throw .bad("limit") }
            return HolderLimit(count)
        }
        return try optional("mode") { $0.isSpelled("shared") ? .shared : nil } ?? .exclusive
    }

    func peer() throws(ReplyProblem) -> Reply.Peer {
        Reply.Peer(
            session: try optional("session", SessionID.init(decimal:)),
            process: try optional("pid", ProcessID.init(decimal:)),
            user: try optional("uid", UserID.init(decimal:)),
            command: try text("command"),
            unit: try text("unit")
        )
    }

    /// A text of any length: the bounds of what a client may send are the daemon's to keep.
    func text(_ key: StaticString) throws(ReplyProblem) -> Text? {
        try optional(key) { try? Text(parsing: $0, limit: $0.count) }
    }
}

extension String {
    /// The string of these bytes, which are ASCII.
    ///
    /// What is not, no daemon says; it becomes question marks, so that it steers no terminal.
    static func verbatim(_ bytes: some Collection<UInt8>) -> String {
        String(decoding: bytes.map { $0 < 0x7F ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}

extension Int {
    init?(decimal digits: UnsafeRawBufferPointer) {
        guard let number = UInt64(decimal: digits), let value = Int(exactly: number) else { return nil }
        self = value
    }
}

extension SessionID {
    init?(decimal digits: UnsafeRawBufferPointer) {
        guard let value = UInt64(decimal: digits) else { return nil }
        self.init(value)
    }
}

extension UserID {
    init?(decimal digits: UnsafeRawBufferPointer) {
        guard let number = UInt64(decimal: digits), let value = UInt32(exactly: number) else { return nil }
        self.init(value)
    }
}

extension ProcessID {
    init?(decimal digits: UnsafeRawBufferPointer) {
        guard let number = UInt64(decimal: digits), let value = Int32(exactly: number) else { return nil }
        self.init(value)
    }
}
