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
    /// The line comes without its LF; one CR at its end is dropped. Its length is the framer's business, see
    /// ``refusal(ofTooLong:limit:)``.
    ///
    /// - Throws: the first thing that is wrong: with the line as a whole, then from left to right.
    public static func decode(_ line: UnsafeRawBufferPointer) throws(RefusedLine) -> TaggedRequest {
        var tag: Tag?
        do throws(WireError) {
            let request = try decode(line, tag: &tag)
            return TaggedRequest(tag: tag, request)
        } catch {
            throw RefusedLine(tag: tag, error)
        }
    }

    /// The same, for who wants no more copies than must be: the tag is put into `tag`, before anything else can be found wrong.
    public static func decode(_ line: UnsafeRawBufferPointer, tag: inout Tag?) throws(WireError) -> Request {
        let line = line.last == UInt8(ascii: "\r") ? UnsafeRawBufferPointer(rebasing: line.dropLast()) : line
        var words = Words(line)
        tag = nil
        do throws(WireError) {
            if line.first == UInt8(ascii: "#"), let word = words.next() {
                tag = Tag(word: word)
                if tag == nil { throw .badTag(word) }
            }
            return try request(&words)
        } catch {
            // No word that is accepted has a control character in it, or is empty. So only a line that is refused
            // anyhow can be wrong as a whole, and the others need not be looked at for that.
            throw flaw(of: line) ?? error
        }
    }

    /// The refusal of a line of more than `limit` bytes that begins with `head`.
    public static func refusal(ofTooLong head: UnsafeRawBufferPointer, limit: Int) -> RefusedLine {
        RefusedLine(tag: Tag(word: Words.first(of: head)), WireError(.lineTooLong, limit: limit))
    }

    /// What is wrong with the line as a whole, if anything is.
    private static func flaw(of line: UnsafeRawBufferPointer) -> WireError? {
        if line.isEmpty { return .emptyLine }
        do throws(LineFlaw) {
            try Words.check(line)
            return nil
        } catch {
            switch error {
            case .controlCharacter(let byte):
                return withUnsafeBytes(of: byte) { WireError(.badCharacter, got: .cut($0)) }
            case .spacing:
                return WireError(.badSpacing, want: "one-space")
            }
        }
    }

    private static func request(_ words: inout Words) throws(WireError) -> Request {
        // Behind a tag alone there is nothing: the line is as good as empty.
        guard let word = words.next() else { throw .emptyLine }
        guard let verb = Verb(word) else { throw WireError(.unknownVerb, got: .cut(word), want: Verb.alternatives) }
        switch verb {
        case .hello: return .hello(try hello(&words))
        case .acquire: return try acquire(&words)
        case .release: return try release(&words)
        case .renew: return try renew(&words)
        case .cancel: return .cancel(try cancelledTag(&words))
        case .show: return .show(try name(&words), try page(&words))
        case .list: return .list(prefix: try nameIfAny(&words), try page(&words))
        case .history:
            let name = try name(&words)
            try end(words)
            return .history(name)
        case .watch:
            let prefix = try nameIfAny(&words)
            try end(words)
            return .watch(prefix: prefix)
        case .unwatch:
            try end(words)
            return .unwatch
        case .revoke: return try revoke(&words)
        case .stats:
            try end(words)
            return .stats
        case .histograms: return .histograms(try page(&words))
        case .ping:
            try end(words)
            return .ping
        case .quit:
            try end(words)
            return .quit
        }
    }

    private static func hello(_ words: inout Words) throws(WireError) -> Request.Hello {
        var hello = Request.Hello()
        var options = RequestOptions<HelloOption>()
        while let (key, value) = try options.next(&words) {
            switch key {
            case .version: hello.version = try value.version()
            case .client: hello.client = try value.text(limit: Text.shortLimit)
            case .resume: hello.resume = SessionID(try value.number(in: 0...UInt64.max))
            }
        }
        return hello
    }

    private static func acquire(_ words: inout Words) throws(WireError) -> Request {
        var terms = AcquireTerms(names: try names(&words))
        var options = RequestOptions<AcquireOption>()
        var saysHolderLimit = false
        while let (key, value) = try options.next(&words) {
            switch key {
            case .wait: terms.wait = try value.wait()
            case .queueLimit: terms.queueLimit = Int(try value.number(in: 0...UInt64(ProtocolLimits.queueLimit)))
            case .mode, .holderLimit:
                if saysHolderLimit { throw value.conflict() }
                terms.holderLimit = key == .mode ? try value.mode() : try value.holderLimit()
                saysHolderLimit = true
            case .timeToLive: terms.timeToLive = try value.timeToLive()
            case .owner: terms.owner = try value.text(limit: Text.shortLimit)
            case .note: terms.note = try value.text(limit: Text.longLimit)
            case .progress: terms.progress = try value.progress()
            case .binding: terms.binding = try value.binding()
            }
        }
        return .acquire(terms)
    }

    private static func release(_ words: inout Words) throws(WireError) -> Request {
        let name = try name(&words)
        var token: FencingToken?
        var options = RequestOptions<ReleaseOption>()
        while let (key, value) = try options.next(&words) {
            switch key {
            case .token: token = try value.token()
            }
        }
        return .release(name, token: token)
    }

    private static func renew(_ words: inout Words) throws(WireError) -> Request {
        let name = try name(&words)
        var token: FencingToken?
        var timeToLive: Milliseconds?
        var options = RequestOptions<RenewOption>()
        while let (key, value) = try options.next(&words) {
            switch key {
            case .token: token = try value.token()
            case .timeToLive: timeToLive = try value.timeToLive()
            }
        }
        return .renew(name, token: token, timeToLive: timeToLive)
    }

    private static func revoke(_ words: inout Words) throws(WireError) -> Request {
        let name = try name(&words)
        var token: FencingToken?
        var reason: Text?
        var options = RequestOptions<RevokeOption>()
        while let (key, value) = try options.next(&words) {
            switch key {
            case .token: token = try value.token()
            case .reason: reason = try value.text(limit: Text.longLimit)
            }
        }
        return .revoke(name, token: token, reason: reason)
    }

    private static func page(_ words: inout Words) throws(WireError) -> Request.Page {
        var page = Request.Page()
        var options = RequestOptions<PageOption>()
        while let (key, value) = try options.next(&words) {
            switch key {
            case .after: page.after = try value.cursor()
            case .limit: page.lineLimit = Int(try value.number(in: 1...UInt64(ProtocolLimits.pageLineCount)))
            }
        }
        return page
    }

    private static func names(_ words: inout Words) throws(WireError) -> LockNames {
        var names = LockNames(try name(&words))
        var before = words
        while let name = try nameIfAny(&words) {
            if names.contains(name) {
                throw WireError(.repeatedName, got: before.next().flatMap { .cut($0) })
            }
            guard let more = names.adding(name) else { throw WireError(.tooManyNames, limit: LockNames.maximumCount) }
            names = more
            before = words
        }
        return names
    }

    private static func name(_ words: inout Words) throws(WireError) -> LockName {
        guard let name = try nameIfAny(&words) else { throw WireError(.missingArgument, want: "NAME") }
        return name
    }

    /// The next word as a name, unless it is an option: no name has a `=`.
    private static func nameIfAny(_ words: inout Words) throws(WireError) -> LockName? {
        let before = words
        guard let word = words.next() else { return nil }
        do throws(EscapingProblem) {
            return try LockName(parsing: word)
        } catch {
            // Only what is no name can be an option.
            if word.offset(of: UInt8(ascii: "=")) != nil {
                words = before
                return nil
            }
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
        try end(words)
        return tag
    }

    /// Refuses whatever is left of a line that should have ended.
    private static func end(_ words: Words) throws(WireError) {
        var words = words
        guard let word = words.next() else { return }
        guard let equalsSign = word.offset(of: UInt8(ascii: "=")) else {
            throw WireError(.unexpectedArgument, got: .cut(word))
        }
        throw WireError(.unknownOption, key: .cut(word.upTo(equalsSign)))
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
    case history = "HISTORY"
    case watch = "WATCH"
    case unwatch = "UNWATCH"
    case revoke = "REVOKE"
    case stats = "STATS"
    case histograms = "HISTOGRAMS"
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
        } else if word.isSpelledInEitherCase("HISTORY") {
            self = .history
        } else if word.isSpelledInEitherCase("WATCH") {
            self = .watch
        } else if word.isSpelledInEitherCase("UNWATCH") {
            self = .unwatch
        } else if word.isSpelledInEitherCase("REVOKE") {
            self = .revoke
        } else if word.isSpelledInEitherCase("STATS") {
            self = .stats
        } else if word.isSpelledInEitherCase("HISTOGRAMS") {
            self = .histograms
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
