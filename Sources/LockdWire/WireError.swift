public import LockdModel

/// The line `ERROR CODE …`: a refused request, in the words of `docs/protocol.md`, *Errors*.
public struct WireError: Error, Hashable, Sendable {
    /// Why a request was refused.
    ///
    /// The daemon's list is closed. A client keeps a code that it does not know as it is: a newer daemon may have more.
    public struct Code: RawRepresentable, Hashable, Sendable {
        /// The code as the protocol spells it: lower-case words with dashes.
        public let rawValue: String

        /// The code with this spelling.
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The line has more bytes than a line may have.
        public static let lineTooLong = Code(rawValue: "line-too-long")
        /// There is no verb.
        public static let emptyLine = Code(rawValue: "empty-line")
        /// There is a control character in the line.
        public static let badCharacter = Code(rawValue: "bad-character")
        /// The words are not separated by exactly one space, or there is one at the beginning or end.
        public static let badSpacing = Code(rawValue: "bad-spacing")
        /// The first word begins with `#` and is no tag, or the argument of CANCEL is none.
        public static let badTag = Code(rawValue: "bad-tag")
        /// Another ACQUIRE of the session waits under this tag.
        public static let tagInUse = Code(rawValue: "tag-in-use")
        /// The first word is no verb.
        public static let unknownVerb = Code(rawValue: "unknown-verb")
        /// The name, or the tag to cancel, is missing.
        public static let missingArgument = Code(rawValue: "missing-argument")
        /// There is a word without `=` where an option, or nothing, may stand.
        public static let unexpectedArgument = Code(rawValue: "unexpected-argument")
        /// The verb has no such option.
        public static let unknownOption = Code(rawValue: "unknown-option")
        /// The option was given before.
        public static let repeatedOption = Code(rawValue: "repeated-option")
        /// The name is not spelled as names are.
        public static let badName = Code(rawValue: "bad-name")
        /// The name has more bytes than a name may have.
        public static let nameTooLong = Code(rawValue: "name-too-long")
        /// A name was given before.
        public static let repeatedName = Code(rawValue: "repeated-name")
        /// There are more names than a request may have.
        public static let tooManyNames = Code(rawValue: "too-many-names")
        /// The text is empty, or is not spelled as texts are.
        public static let badText = Code(rawValue: "bad-text")
        /// The text has more bytes than this one may have.
        public static let textTooLong = Code(rawValue: "text-too-long")
        /// The duration is not spelled as durations are, or is out of range.
        public static let badDuration = Code(rawValue: "bad-duration")
        /// The number is none, or is out of range.
        public static let badNumber = Code(rawValue: "bad-number")
        /// The mode is none.
        public static let badMode = Code(rawValue: "bad-mode")
        /// What the lease is to be bound to is no kind of thing.
        public static let badBinding = Code(rawValue: "bad-binding")
        /// Two options say the same.
        public static let conflictingOptions = Code(rawValue: "conflicting-options")
        /// No descriptor came with the line, or not one of the kind that the lease is to be bound to.
        public static let badDescriptor = Code(rawValue: "bad-descriptor")
        /// The process that the lease is to be bound to is another user's.
        public static let foreignProcess = Code(rawValue: "foreign-process")
        /// The owner holds a lease on the name that tolerates more holders.
        public static let stricterLease = Code(rawValue: "stricter-lease")
        /// The owner holds a part of the names.
        public static let partlyHeld = Code(rawValue: "partly-held")
        /// The cursor is not what an END line said.
        public static let badCursor = Code(rawValue: "bad-cursor")
        /// The daemon cannot write down what has to survive it.
        public static let logFull = Code(rawValue: "log-full")
        /// The daemon does not speak that version of the protocol.
        public static let badVersion = Code(rawValue: "bad-version")
        /// HELLO is not the first line of its session.
        public static let lateHello = Code(rawValue: "late-hello")
        /// The user or the daemon has as many sessions as may be.
        public static let tooManySessions = Code(rawValue: "too-many-sessions")
        /// The session, its user or the daemon has as many leases as may be.
        public static let tooManyLeases = Code(rawValue: "too-many-leases")
        /// The session, its user or the daemon has as many waiting requests as may be.
        public static let tooManyWaiters = Code(rawValue: "too-many-waiters")
        /// The leases, the requests and the unread replies of the user take as many bytes as they may.
        public static let tooManyBytes = Code(rawValue: "too-many-bytes")
        /// As many leases and waits are bound as may be.
        public static let tooManyDescriptors = Code(rawValue: "too-many-descriptors")
        /// As many sessions watch as may.
        public static let tooManyWatchers = Code(rawValue: "too-many-watchers")
    }

    /// Whose limit was met.
    public enum Scope: String, Hashable, Sendable {
        case session
        case user
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
        _ code: Code,
        key: Text? = nil,
        got: Text? = nil,
        want: String? = nil,
        limit: Int? = nil,
        scope: Scope? = nil
    ) {
        self.code = code
        self.key = key
        self.got = got
        self.want = want
        self.limit = limit
        self.scope = scope
    }
}
