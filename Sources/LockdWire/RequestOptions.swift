import LockdModel

/// The options of one verb, in the order in which errors list them.
protocol OptionKey: CaseIterable {
    var spelling: StaticString { get }
    /// A bit of its own.
    var bit: UInt16 { get }
}

enum HelloOption: UInt8, OptionKey {
    case version
    case client
    case resume

    var spelling: StaticString {
        switch self {
        case .version: "v"
        case .client: "client"
        case .resume: "resume"
        }
    }
}

enum AcquireOption: UInt8, OptionKey {
    case wait
    case queueLimit
    case mode
    case holderLimit
    case timeToLive
    case owner
    case note
    case progress
    case binding

    var spelling: StaticString {
        switch self {
        case .wait: "wait"
        case .queueLimit: "max-queue"
        case .mode: "mode"
        case .holderLimit: "limit"
        case .timeToLive: "ttl"
        case .owner: "owner"
        case .note: "note"
        case .progress: "progress"
        case .binding: "bind"
        }
    }
}

enum ReleaseOption: UInt8, OptionKey {
    case token

    var spelling: StaticString { "token" }
}

enum RenewOption: UInt8, OptionKey {
    case token
    case timeToLive

    var spelling: StaticString {
        switch self {
        case .token: "token"
        case .timeToLive: "ttl"
        }
    }
}

enum PageOption: UInt8, OptionKey {
    case after
    case limit

    var spelling: StaticString {
        switch self {
        case .after: "after"
        case .limit: "limit"
        }
    }
}

enum RevokeOption: UInt8, OptionKey {
    case token
    case reason

    var spelling: StaticString {
        switch self {
        case .token: "token"
        case .reason: "reason"
        }
    }
}

extension OptionKey where Self: RawRepresentable<UInt8> {
    var bit: UInt16 { 1 << rawValue }
}

/// Takes the options of a verb off a line, one after the other.
struct RequestOptions<Key: OptionKey> {
    private var given: UInt16 = 0

    /// The next option, or `nil` behind the last word.
    ///
    /// - Throws: if the word is no option, or is none of this verb, or was given before.
    mutating func next(_ words: inout Words) throws(WireError) -> (key: Key, value: OptionValue)? {
        guard let word = words.next() else { return nil }
        guard let equalsSign = word.offset(of: UInt8(ascii: "=")) else {
            throw WireError(.unexpectedArgument, got: .cut(word))
        }
        let spelling = word.upTo(equalsSign)
        guard let key = Key.allCases.first(where: { spelling.isSpelled($0.spelling) }) else {
            throw WireError(.unknownOption, key: .cut(spelling), want: Self.alternatives)
        }
        if given & key.bit != 0 { throw WireError(.repeatedOption, key: .cut(spelling)) }
        given |= key.bit
        return (key, OptionValue(of: spelling, word.from(equalsSign + 1)))
    }

    private static var alternatives: String {
        Key.allCases.map { String(describing: $0.spelling) }.joined(separator: "|")
    }
}

/// The value of an option as it was sent, and what it can be read as.
struct OptionValue {
    private let key: UnsafeRawBufferPointer
    private let spelling: UnsafeRawBufferPointer

    init(of key: UnsafeRawBufferPointer, _ spelling: UnsafeRawBufferPointer) {
        self.key = key
        self.spelling = spelling
    }

    func number(in range: ClosedRange<UInt64>) throws(WireError) -> UInt64 {
        guard let number = UInt64(decimal: spelling), range.contains(number) else {
            throw refusal(.badNumber, want: "\(range.lowerBound)..\(range.upperBound)")
        }
        return number
    }

    func token() throws(WireError) -> FencingToken {
        FencingToken(try number(in: 0...UInt64.max))
    }

    func version() throws(WireError) -> UInt64 {
        guard let version = UInt64(decimal: spelling) else { throw refusal(.badNumber, want: "1") }
        if version != 1 { throw WireError(.badVersion, got: .cut(spelling), want: "1") }
        return version
    }

    func wait() throws(WireError) -> WaitTimeout {
        if spelling.isSpelled("0") { return .none }
        if spelling.isSpelled("forever") { return .never }
        guard let duration = Milliseconds(spelling: spelling), duration <= .maximum else {
            throw refusal(.badDuration, want: "0|1ms..366d|forever")
        }
        // To wait for no time, in whatever unit, is not to wait.
        return duration.count == 0 ? .none : .after(duration)
    }

    func timeToLive() throws(WireError) -> Milliseconds {
        guard let duration = Milliseconds(spelling: spelling), duration <= .maximum, duration.count > 0 else {
            throw refusal(.badDuration, want: "1ms..366d")
        }
        return duration
    }

    func progress() throws(WireError) -> Milliseconds {
        guard let duration = Milliseconds(spelling: spelling), (.shortestProgress ... .maximum).contains(duration)
        else {
            throw refusal(.badDuration, want: "100ms..366d")
        }
        return duration
    }

    func text(limit: Int) throws(WireError) -> Text {
        do throws(EscapingProblem) {
            return try Text(parsing: spelling, limit: limit)
        } catch {
            switch error {
            case .empty: throw refusal(.badText, want: "1-to-\(limit)-bytes")
            case .badSpelling: throw refusal(.badText, want: "percent-and-two-hexdigits")
            case .tooLong(let limit): throw WireError(.textTooLong, key: .cut(key), limit: limit)
            }
        }
    }

    func mode() throws(WireError) -> HolderLimit {
        if spelling.isSpelled("exclusive") { return .exclusive }
        if spelling.isSpelled("shared") { return .shared }
        throw WireError(.badMode, got: .cut(spelling), want: "exclusive|shared")
    }

    func binding() throws(WireError) -> Binding {
        if spelling.isSpelled("pidfd") { return .pidfd }
        if spelling.isSpelled("pipe") { return .pipe }
        throw WireError(.badBinding, got: .cut(spelling), want: "pidfd|pipe")
    }

    func holderLimit() throws(WireError) -> HolderLimit {
        HolderLimit(Int(try number(in: 1...UInt64(HolderLimit.largestCount))))
    }

    func cursor() throws(WireError) -> Cursor {
        guard let cursor = Cursor(spelling: spelling) else { throw refusal(.badCursor, want: "what-END-said") }
        return cursor
    }

    /// Refuses the option because another one that was given says the same.
    func conflict() -> WireError { WireError(.conflictingOptions, key: .cut(key)) }

    private func refusal(_ code: WireError.Code, want: String) -> WireError {
        WireError(code, key: .cut(key), got: .cut(spelling), want: want)
    }
}
