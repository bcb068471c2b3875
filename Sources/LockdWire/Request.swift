public import LockdModel

/// What a client asks for: one case for each verb of `docs/protocol.md`.
public enum Request: Hashable, Sendable {
    case hello(Hello)
    case acquire(Acquire)
    case release(LockName, token: FencingToken?)
    case renew(LockName, token: FencingToken?, timeToLive: Milliseconds?)
    case cancel(Tag)
    case show(LockName, Page)
    case list(prefix: LockName?, Page)
    case revoke(LockName, token: FencingToken?, reason: Text?)
    case stats
    case ping
    case quit

    /// The first line of a session that wants to be known.
    public struct Hello: Hashable, Sendable {
        /// The version of the protocol that the client speaks; this daemon knows 1.
        public var version: UInt64
        /// The name and version of the client library.
        public var client: Text?

        /// A greeting in version 1.
        public init(version: UInt64 = 1, client: Text? = nil) {
            self.version = version
            self.client = client
        }
    }

    /// A request for a lease.
    public struct Acquire: Hashable, Sendable {
        /// The name of the lock.
        public var name: LockName
        /// How long the request may queue.
        public var wait: WaitTimeout
        /// The longest the lease may be held without renewal; `nil` for no bound.
        public var timeToLive: Milliseconds?
        /// The logical thread within the session, if the client names one.
        public var owner: Text?
        /// What the holder says about itself to whoever looks.
        public var note: Text?

        /// A request for `name` that waits for ever and asks for nothing else.
        public init(
            name: LockName,
            wait: WaitTimeout = .never,
            timeToLive: Milliseconds? = nil,
            owner: Text? = nil,
            note: Text? = nil
        ) {
            self.name = name
            self.wait = wait
            self.timeToLive = timeToLive
            self.owner = owner
            self.note = note
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

    /// `request` under `tag`.
    public init(tag: Tag? = nil, _ request: Request) {
        self.tag = tag
        self.request = request
    }
}
