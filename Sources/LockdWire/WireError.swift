public import LockdModel

/// The line `ERROR CODE …`: a refused request, in the words of `docs/protocol.md`, *Errors*.
public struct WireError: Error, Hashable, Sendable {
    /// The closed list of reasons.
    public enum Code: String, Hashable, Sendable, CaseIterable {
        case lineTooLong = "line-too-long"
        case emptyLine = "empty-line"
        case badCharacter = "bad-character"
        case badSpacing = "bad-spacing"
        case badTag = "bad-tag"
        case tagInUse = "tag-in-use"
        case unknownVerb = "unknown-verb"
        case missingArgument = "missing-argument"
        case unexpectedArgument = "unexpected-argument"
        case unknownOption = "unknown-option"
        case repeatedOption = "repeated-option"
        case badName = "bad-name"
        case nameTooLong = "name-too-long"
        case badText = "bad-text"
        case textTooLong = "text-too-long"
        case badDuration = "bad-duration"
        case badNumber = "bad-number"
        case badCursor = "bad-cursor"
        case badVersion = "bad-version"
        case lateHello = "late-hello"
        case tooManySessions = "too-many-sessions"
        case tooManyLeases = "too-many-leases"
        case tooManyWaiters = "too-many-waiters"
    }

    /// Whose limit was met.
    public enum Scope: String, Hashable, Sendable {
        case session
        case daemon
    }

    /// Why the request was refused.
    public var code: Code
    /// The option that is wrong.
    public var key: Text?
    /// What was sent, cut after 64 bytes.
    public var got: Text?
    /// What would have been right, as the protocol spells it: words without spaces, alternatives separated by `|`.
    public var want: String?
    /// The number of the limit that was met.
    public var limit: Int?
    /// Whose limit was met.
    public var scope: Scope?

    /// An error with these fields.
    public init(
        _ code: Code, key: Text? = nil, got: Text? = nil, want: String? = nil, limit: Int? = nil, scope: Scope? = nil
    ) {
        self.code = code
        self.key = key
        self.got = got
        self.want = want
        self.limit = limit
        self.scope = scope
    }
}
