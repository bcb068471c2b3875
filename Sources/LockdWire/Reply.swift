public import LockdModel

/// What the daemon says: one case for each line that `docs/protocol.md` lets it send.
///
/// The rare and large ones are indirect, so that the frequent ones are cheap to hand on.
public enum Reply: Hashable, Sendable {
    /// What the daemon is and can do: the answer to HELLO.
    indirect case welcome(Welcome)
    /// The session holds the lease from now on. `timeToLive` is the ttl that was asked for.
    case granted(LockNames, token: FencingToken, timeToLive: Milliseconds?, after: Predecessor)
    /// The owner that asks holds the lease already, under this token; nothing has changed.
    case held(LockNames, token: FencingToken, timeToLive: Milliseconds?)
    /// The lease is not free, and the request was not to wait.
    indirect case busy(LockNames, holder: Holder?, waiterCount: Int)
    /// The wait ran out; `waiterCount` others wait still.
    indirect case timedOut(LockNames, waited: Milliseconds, holder: Holder?, waiterCount: Int)
    /// The wait ended without a lease, by CANCEL or with the session.
    case cancelled(LockNames, waited: Milliseconds)
    /// The lease with this token has ended.
    case released(LockNames, token: FencingToken)
    /// The deadline has moved; `timeToLive` holds from now on.
    case renewed(LockNames, token: FencingToken, timeToLive: Milliseconds?)
    /// There is no such lease: none of this session, or, for REVOKE, none at all.
    case notHeld(LockName)
    /// The wait under this tag has ended: the answer to CANCEL.
    case waitCancelled(Tag)
    /// Nothing waits under this tag: the other answer to CANCEL.
    case notWaiting(Tag)
    /// One lease of a listing.
    indirect case lease(LeaseLine)
    /// One waiting request of a listing.
    indirect case waiter(WaiterLine)
    /// The end of a listing, or of one page of it if there is a `next`.
    case end(next: Cursor?)
    /// The lease with this token was taken from its holder.
    case revoked(LockNames, token: FencingToken)
    /// The lease is held by this user, and is not the asking session's to revoke.
    case denied(LockNames, token: FencingToken, holder: UserID)
    /// One line of STATS; the key is lower-case ASCII with dashes, the value has no space.
    indirect case statistic(key: String, value: String)
    /// The answer to PING.
    case pong
    /// The answer to QUIT, the last line of the session.
    case bye
    /// The request was refused and has changed nothing.
    indirect case error(WireError)
    /// The event `* LOST`: the lease with this token is not held any more.
    indirect case lost(LockNames, token: FencingToken, reason: LossReason)

    /// The answer to HELLO.
    public struct Welcome: Hashable, Sendable {
        /// The daemon's version.
        public var daemonVersion: String
        /// The protocol's version.
        public var version: UInt64
        /// The number of the session.
        public var session: SessionID
        /// The daemon's process.
        public var process: ProcessID
        /// What the daemon can do, in alphabetical order.
        public var features: [String]
        /// The most bytes of a request line.
        public var lineByteCount: Int
        /// The most bytes of a name.
        public var nameByteCount: Int

        /// A welcome with these values.
        public init(
            daemonVersion: String,
            version: UInt64,
            session: SessionID,
            process: ProcessID,
            features: [String],
            lineByteCount: Int,
            nameByteCount: Int
        ) {
            self.daemonVersion = daemonVersion
            self.version = version
            self.session = session
            self.process = process
            self.features = features
            self.lineByteCount = lineByteCount
            self.nameByteCount = nameByteCount
        }
    }

    /// The holder fields: who holds a lease, and how long by now.
    public struct Holder: Hashable, Sendable {
        /// Who holds the lease.
        public var peer: Peer
        /// How long it has been held.
        public var held: Milliseconds
        /// How many hold it; `peer` is the one that was granted first.
        public var count: Int

        /// The holder `peer`, holding for `held`, alone unless said otherwise.
        public init(peer: Peer, held: Milliseconds, count: Int = 1) {
            self.peer = peer
            self.held = held
            self.count = count
        }
    }

    /// The process behind a session, as replies name it.
    public struct Peer: Hashable, Sendable {
        /// The session.
        public var session: SessionID?
        /// The process that called connect().
        public var process: ProcessID?
        /// The user of that process.
        public var user: UserID?
        /// The kernel's command name of that process when it connected.
        public var command: Text?

        /// A peer of which this is known.
        public init(session: SessionID?, process: ProcessID?, user: UserID?, command: Text?) {
            self.session = session
            self.process = process
            self.user = user
            self.command = command
        }
    }

    /// A lease in a listing.
    public struct LeaseLine: Hashable, Sendable {
        /// The name of the lock.
        public var name: LockName
        /// The token of the grant.
        public var token: FencingToken
        /// How many holders the lease tolerates.
        public var holderLimit: HolderLimit
        /// Who holds it.
        public var peer: Peer
        /// The client library, if it said HELLO.
        public var client: Text?
        /// How long it has been held.
        public var held: Milliseconds
        /// The longest it may be held without renewal, if there is such a bound.
        public var timeToLive: Milliseconds?
        /// The time to the deadline, if there is a ttl.
        public var left: Milliseconds?
        /// The logical thread within the session, if the client named one.
        public var owner: Text?
        /// What the holder says about itself.
        public var note: Text?
        /// How many names it is on, this one included.
        public var nameCount: Int
        /// How many requests wait for it.
        public var waiterCount: Int

        /// A line with these values.
        public init(
            name: LockName,
            token: FencingToken,
            holderLimit: HolderLimit = .exclusive,
            peer: Peer,
            client: Text? = nil,
            held: Milliseconds,
            timeToLive: Milliseconds? = nil,
            left: Milliseconds? = nil,
            owner: Text? = nil,
            note: Text? = nil,
            nameCount: Int = 1,
            waiterCount: Int
        ) {
            self.name = name
            self.token = token
            self.holderLimit = holderLimit
            self.peer = peer
            self.client = client
            self.held = held
            self.timeToLive = timeToLive
            self.left = left
            self.owner = owner
            self.note = note
            self.nameCount = nameCount
            self.waiterCount = waiterCount
        }
    }

    /// A waiting request in a listing.
    public struct WaiterLine: Hashable, Sendable {
        /// The name of the lock.
        public var name: LockName
        /// 1 for the next to be granted.
        public var position: Int
        /// How many holders the lease will tolerate.
        public var holderLimit: HolderLimit
        /// Who waits.
        public var peer: Peer
        /// The client library, if it said HELLO.
        public var client: Text?
        /// How long it has been waiting.
        public var waited: Milliseconds
        /// The time to the end of the wait, if it has one.
        public var left: Milliseconds?
        /// The ttl that the request asks for, if any.
        public var timeToLive: Milliseconds?
        /// The logical thread within the session, if the client names one.
        public var owner: Text?
        /// What the client says about itself.
        public var note: Text?
        /// How many names it is for, this one included.
        public var nameCount: Int

        /// A line with these values.
        public init(
            name: LockName,
            position: Int,
            holderLimit: HolderLimit = .exclusive,
            peer: Peer,
            client: Text? = nil,
            waited: Milliseconds,
            left: Milliseconds? = nil,
            timeToLive: Milliseconds? = nil,
            owner: Text? = nil,
            note: Text? = nil,
            nameCount: Int = 1
        ) {
            self.name = name
            self.position = position
            self.holderLimit = holderLimit
            self.peer = peer
            self.client = client
            self.waited = waited
            self.left = left
            self.timeToLive = timeToLive
            self.owner = owner
            self.note = note
            self.nameCount = nameCount
        }
    }

    /// Why a lease was lost.
    public enum LossReason: Hashable, Sendable {
        /// The ttl ran out.
        case expired
        /// Somebody revoked it.
        case revoked(by: UserID?, process: ProcessID?, why: Text?)
        /// A reason that this version does not know: a newer daemon's. The lease is lost all the same.
        case other(Text)
    }
}

/// A line from the daemon, with its tag.
public struct TaggedReply: Hashable, Sendable {
    /// The tag of the request that it answers, if that had one; events have none.
    public var tag: Tag?
    /// What the daemon says.
    public var reply: Reply
}

extension TaggedReply {
    /// `reply` under `tag`.
    public init(tag: Tag? = nil, _ reply: Reply) {
        self.init(tag: tag, reply: reply)
    }
}
