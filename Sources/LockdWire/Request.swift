public import LockdModel

/// What a client asks for: one case for each verb of `docs/protocol.md`.
public enum Request: Hashable, Sendable {
    /// Says who the client is, before anything else.
    case hello(Hello)
    /// Asks for a lease.
    case acquire(AcquireTerms)
    /// Ends the lease of this session, if it is the one with `token`.
    case release(LockName, token: FencingToken?)
    /// Moves the deadline of the lease of this session to now plus `timeToLive`, or plus the ttl that it has.
    case renew(LockName, token: FencingToken?, timeToLive: Milliseconds?)
    /// Ends the wait under this tag.
    case cancel(Tag)
    /// Lists the lease of this name and its waiters.
    case show(LockName, Page)
    /// Lists the leases and waiters of all names that begin with `prefix`.
    case list(prefix: LockName?, Page)
    /// Lists the last leases on this name that have ended.
    case history(LockName)
    /// Asks to be told of whatever happens to the names that begin with `prefix`.
    case watch(prefix: LockName?)
    /// Asks to be told no more.
    case unwatch
    /// Takes the lease from its holder, whoever that is, and tells it `reason`.
    case revoke(LockName, token: FencingToken?, reason: Text?)
    /// Asks for the daemon's gauges and counters.
    case stats
    /// Asks for how long leases were waited for and held.
    case histograms(Page)
    /// Asks for a sign of life.
    case ping
    /// Ends the session.
    case quit

    /// The first line of a session that wants to be known.
    public struct Hello: Hashable, Sendable {
        /// The version of the protocol that the client speaks; this daemon knows 1.
        public var version: UInt64
        /// The name and version of the client library.
        public var client: Text?
        /// The session that the client wants to go on with; `nil` for a new one.
        public var resume: SessionID?

        /// A greeting in version 1.
        public init(version: UInt64 = 1, client: Text? = nil, resume: SessionID? = nil) {
            self.version = version
            self.client = client
            self.resume = resume
        }
    }

    /// Which part of a long answer is wanted.
    public struct Page: Hashable, Sendable {
        /// Where the page before ended; `nil` for the first.
        public var after: Cursor?
        /// The most lines; `nil` for as many as a page holds.
        public var lineLimit: Int?

        /// The page behind `after`, the first page by default.
        public init(after: Cursor? = nil, lineLimit: Int? = nil) {
            self.after = after
            self.lineLimit = lineLimit
        }
    }
}

/// A request with the tag that its reply is to carry.
public struct TaggedRequest: Hashable, Sendable {
    /// The tag, if the client gave one.
    public var tag: Tag?
    /// What is asked for.
    public var request: Request
}

// The initialisers below delegate to the ones that the compiler makes. Those put a value together where it is wanted,
// while one that assigns property by property costs the decoder a copy of the whole request.

extension TaggedRequest {
    /// `request` under `tag`.
    public init(tag: Tag? = nil, _ request: Request) {
        self.init(tag: tag, request: request)
    }
}
