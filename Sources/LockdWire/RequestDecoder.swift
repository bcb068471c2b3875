public import LockdModel

/// A line that is not a request, with the tag under which the refusal is sent.
public struct RefusedLine: Error, Hashable, Sendable {
    /// The tag with which the line began, if that was one.
    public var tag: Tag?
    /// What is wrong with the line.
    public var error: WireError

    /// The refusal `error` under `tag`.
    public init(tag: Tag?, _ error: WireError) {
        self.tag = tag
        self.error = error
    }

    /// The answer to the line.
    public var reply: TaggedReply { TaggedReply(tag: tag, .error(error)) }
}

/// Reads request lines: the grammar and the errors of `docs/protocol.md`, to the letter.
public enum RequestDecoder {
    /// The request that `line` says.
    ///
    /// The line comes without its LF; one CR at its end is dropped. Its length is the framer's business, see ``refusal(ofTooLong:limit:)``.
    ///
    /// - Throws: the first thing that is wrong: with the line as a whole, then from left to right.
    public static func decode(_ line: UnsafeRawBufferPointer) throws(RefusedLine) -> TaggedRequest {
        let line = line.last == UInt8(ascii: "\r") ? UnsafeRawBufferPointer(rebasing: line.dropLast()) : line
        var words = Words(line)
        var tag: Tag?
        do throws(WireError) {
            if line.first == UInt8(ascii: "#"), let word = words.next() { tag = Tag(word: word) }
            try checkAsAWhole(line)
            if line.first == UInt8(ascii: "#"), tag == nil { throw .badTag(Words.first(of: line)) }
            return TaggedRequest(tag: tag, try request(&words))
        } catch {
            throw RefusedLine(tag: tag, error)
        }
    }

    /// The refusal of a line of more than `limit` bytes that begins with `head`.
    public static func refusal(ofTooLong head: UnsafeRawBufferPointer, limit: Int) -> RefusedLine {
        RefusedLine(tag: Tag(word: Words.first(of: head)), WireError(.lineTooLong, limit: limit))
    }

    private static func checkAsAWhole(_ line: UnsafeRawBufferPointer) throws(WireError) {
        if line.isEmpty { throw .emptyLine }
        do throws(LineFlaw) {
            try Words.check(line)
        } catch {
            switch error {
            case .controlCharacter(let byte):
                throw withUnsafeBytes(of: byte) { WireError(.badCharacter, got: .cut($0)) }
            case .spacing:
                throw WireError(.badSpacing, want: "one-space")
            }
        }
    }

    private static func request(_ words: inout Words) throws(WireError) -> Request {
        // Behind a tag alone there is nothing: the line is as good as empty.
        guard let word = words.next() else { throw .emptyLine }
        guard let verb = Verb(word) else { throw WireError(.unknownVerb, got: .cut(word), want: Verb.alternatives) }
        switch verb {
        case .hello:
            let options = try RequestOptions(&words, allowed: .hello)
            return .hello(Request.Hello(version: options.version ?? 1, client: options.client))
        case .acquire:
            let name = try name(&words)
            let options = try RequestOptions(&words, allowed: .acquire)
            return .acquire(
                Request.Acquire(
                    name: name,
                    wait: options.wait ?? .never,
                    timeToLive: options.timeToLive,
                    owner: options.owner,
                    note: options.note
                )
            )
        case .release:
            let name = try name(&words)
            return .release(name, token: try RequestOptions(&words, allowed: .release).token)
        case .renew:
            let name = try name(&words)
            let options = try RequestOptions(&words, allowed: .renew)
            return .renew(name, token: options.token, timeToLive: options.timeToLive)
        case .cancel:
            return .cancel(try cancelledTag(&words))
        case .show:
            let name = try name(&words)
            return .show(name, try RequestOptions(&words, allowed: .page).page)
        case .list:
            let prefix = try nameIfAny(&words)
            return .list(prefix: prefix, try RequestOptions(&words, allowed: .page).page)
        case .revoke:
            let name = try name(&words)
            let options = try RequestOptions(&words, allowed: .revoke)
            return .revoke(name, token: options.token, reason: options.reason)
        case .stats:
            try nothing(&words)
            return .stats
        case .ping:
            try nothing(&words)
            return .ping
        case .quit:
            try nothing(&words)
            return .quit
        }
    }

    private static func name(_ words: inout Words) throws(WireError) -> LockName {
        guard let name = try nameIfAny(&words) else { throw WireError(.missingArgument, want: "NAME") }
        return name
    }

    /// The next word as a name, unless it is an option: no name has a `=`.
    private static func nameIfAny(_ words: inout Words) throws(WireError) -> LockName? {
        var ahead = words
        guard let word = ahead.next(), word.equalsSign == nil else { return nil }
        words = ahead
        do throws(EscapingProblem) {
            return try LockName(parsing: word)
        } catch {
            switch error {
            case .tooLong(let limit): throw WireError(.nameTooLong, limit: limit)
            case .empty, .badSpelling:
                throw WireError(
                    .badName,
                    got: .cut(word),
                    want: "visible-characters-but-#|percent-and-two-hexdigits"
                )
            }
        }
    }

    private static func cancelledTag(_ words: inout Words) throws(WireError) -> Tag {
        guard let word = words.next() else { throw WireError(.missingArgument, want: "#TAG") }
        guard let tag = Tag(word: word) else { throw .badTag(word) }
        try nothing(&words)
        return tag
    }

    private static func nothing(_ words: inout Words) throws(WireError) {
        _ = try RequestOptions(&words, allowed: .none)
    }
}

/// The first words of requests.
private enum Verb: String, CaseIterable {
    case hello = "HELLO"
    case acquire = "ACQUIRE"
    case release = "RELEASE"
    case renew = "RENEW"
    case cancel = "CANCEL"
    case show = "SHOW"
    case list = "LIST"
    case revoke = "REVOKE"
    case stats = "STATS"
    case ping = "PING"
    case quit = "QUIT"

    static var alternatives: String { allCases.map(\.rawValue).joined(separator: "|") }

    init?(_ word: UnsafeRawBufferPointer) {
        // The two that matter for speed come first.
        if word.isSpelledInEitherCase("ACQUIRE") {
            self = .acquire
        } else if word.isSpelledInEitherCase("RELEASE") {
            self = .release
        } else if word.isSpelledInEitherCase("RENEW") {
            self = .renew
        } else if word.isSpelledInEitherCase("CANCEL") {
            self = .cancel
        } else if word.isSpelledInEitherCase("HELLO") {
            self = .hello
        } else if word.isSpelledInEitherCase("SHOW") {
            self = .show
        } else if word.isSpelledInEitherCase("LIST") {
            self = .list
        } else if word.isSpelledInEitherCase("REVOKE") {
            self = .revoke
        } else if word.isSpelledInEitherCase("STATS") {
            self = .stats
        } else if word.isSpelledInEitherCase("PING") {
            self = .ping
        } else if word.isSpelledInEitherCase("QUIT") {
            self = .quit
        } else {
            return nil
        }
    }
}

extension WireError {
    fileprivate static var emptyLine: WireError { WireError(.emptyLine, want: "VERB") }

    fileprivate static func badTag(_ word: UnsafeRawBufferPointer) -> WireError {
        WireError(.badTag, got: .cut(word), want: "#[A-Za-z0-9._:-]{1,32}")
    }
}
