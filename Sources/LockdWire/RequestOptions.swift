import LockdModel

/// The options of all verbs, in the order in which errors list them.
enum OptionKey: UInt16, CaseIterable {
    case version
    case client
    case wait
    case token
    case timeToLive
    case owner
    case note
    case reason
    case after
    case limit

    init?(_ bytes: UnsafeRawBufferPointer) {
        for key in Self.allCases where bytes.isSpelled(key.spelling) {
            self = key
            return
        }
        return nil
    }

    var spelling: StaticString {
        switch self {
        case .version: "v"
        case .client: "client"
        case .wait: "wait"
        case .token: "token"
        case .timeToLive: "ttl"
        case .owner: "owner"
        case .note: "note"
        case .reason: "reason"
        case .after: "after"
        case .limit: "limit"
        }
    }
}

/// A set of options: those that a verb has, or those that a line has given already.
struct OptionKeys {
    private var bits: UInt16

    init(_ keys: OptionKey...) {
        bits = keys.reduce(0) { bits, key in bits | 1 << key.rawValue }
    }

    func contains(_ key: OptionKey) -> Bool { bits & 1 << key.rawValue != 0 }

    mutating func insert(_ key: OptionKey) { bits |= 1 << key.rawValue }

    /// The spellings, separated by `|`; `nil` if the set is empty.
    var alternatives: String? {
        let spellings = OptionKey.allCases.filter(contains).map { String(describing: $0.spelling) }
        return spellings.isEmpty ? nil : spellings.joined(separator: "|")
    }

    static let none = OptionKeys()
    static let hello = OptionKeys(.version, .client)
    static let acquire = OptionKeys(.wait, .timeToLive, .owner, .note)
    static let release = OptionKeys(.token)
    static let renew = OptionKeys(.token, .timeToLive)
    static let page = OptionKeys(.after, .limit)
    static let revoke = OptionKeys(.token, .reason)
}

/// The values of the options of one request.
struct RequestOptions {
    private(set) var version: UInt64?
    private(set) var client: Text?
    private(set) var wait: WaitTimeout?
    private(set) var token: FencingToken?
    private(set) var timeToLive: Milliseconds?
    private(set) var owner: Text?
    private(set) var note: Text?
    private(set) var reason: Text?
    private(set) var page = Request.Page()

    /// Takes all words that are left, each of which has to be one of the options `allowed`.
    init(_ words: inout Words, allowed: OptionKeys) throws(WireError) {
        var given = OptionKeys.none
        while let word = words.next() {
            guard let equalsSign = word.equalsSign else {
                throw WireError(.unexpectedArgument, got: .cut(word))
            }
            let spelling = UnsafeRawBufferPointer(rebasing: word[..<equalsSign])
            guard let key = OptionKey(spelling), allowed.contains(key) else {
                throw WireError(.unknownOption, key: .cut(spelling), want: allowed.alternatives)
            }
            if given.contains(key) { throw WireError(.repeatedOption, key: .cut(spelling)) }
            given.insert(key)
            try set(OptionWord(key: spelling, value: UnsafeRawBufferPointer(rebasing: word[(equalsSign + 1)...])), key)
        }
    }

    private mutating func set(_ word: OptionWord, _ key: OptionKey) throws(WireError) {
        switch key {
        case .version: version = try word.version()
        case .client: client = try word.text(limit: Text.shortLimit)
        case .wait: wait = try word.wait()
        case .token: token = FencingToken(try word.number(in: 0...UInt64.max))
        case .timeToLive: timeToLive = try word.timeToLive()
        case .owner: owner = try word.text(limit: Text.shortLimit)
        case .note: note = try word.text(limit: Text.longLimit)
        case .reason: reason = try word.text(limit: Text.longLimit)
        case .after: page.after = try word.cursor()
        case .limit: page.lineLimit = Int(try word.number(in: 1...UInt64(ProtocolLimits.pageLineCount)))
        }
    }
}

/// One option as it was sent, and what its value can be read as.
private struct OptionWord {
    let key: UnsafeRawBufferPointer
    let value: UnsafeRawBufferPointer

    func number(in range: ClosedRange<UInt64>) throws(WireError) -> UInt64 {
        guard let number = UInt64(decimal: value), range.contains(number) else {
            throw refusal(.badNumber, want: "\(range.lowerBound)..\(range.upperBound)")
        }
        return number
    }

    func version() throws(WireError) -> UInt64 {
        guard let version = UInt64(decimal: value) else { throw refusal(.badNumber, want: "1") }
        if version != 1 { throw WireError(.badVersion, got: .cut(value), want: "1") }
        return version
    }

    func wait() throws(WireError) -> WaitTimeout {
        if value.isSpelled("0") { return .none }
        if value.isSpelled("forever") { return .never }
        guard let duration = Milliseconds(spelling: value), duration <= .maximum else {
            throw refusal(.badDuration, want: "0|1ms..366d|forever")
        }
        // To wait for no time, in whatever unit, is not to wait.
        return duration.count == 0 ? .none : .after(duration)
    }

    func timeToLive() throws(WireError) -> Milliseconds {
        guard let duration = Milliseconds(spelling: value), duration <= .maximum, duration.count > 0 else {
            throw refusal(.badDuration, want: "1ms..366d")
        }
        return duration
    }

    func text(limit: Int) throws(WireError) -> Text {
        do throws(EscapingProblem) {
            return try Text(parsing: value, limit: limit)
        } catch {
            switch error {
            case .empty: throw refusal(.badText, want: "1-to-\(limit)-bytes")
            case .badSpelling: throw refusal(.badText, want: "percent-and-two-hexdigits")
            case .tooLong(let limit): throw WireError(.textTooLong, key: .cut(key), limit: limit)
            }
        }
    }

    func cursor() throws(WireError) -> Cursor {
        guard let cursor = Cursor(spelling: value) else { throw refusal(.badCursor, want: "what-END-said") }
        return cursor
    }

    private func refusal(_ code: WireError.Code, want: String) -> WireError {
        WireError(code, key: .cut(key), got: .cut(value), want: want)
    }
}
