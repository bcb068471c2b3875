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
    /// The request waits, `position` - 1 others being ahead of it; all of this is said of the name `on`, if the request is for several.
    indirect case queued(LockNames, position: Int, on: LockName?, holder: Holder?, waiterCount: Int)
    /// The lease is not free, and the request was not to wait.
    indirect case busy(LockNames, holder: Holder?, waiterCount: Int)
    /// The wait ran out; `waiterCount` others wait still.
    indirect case timedOut(LockNames, waited: Milliseconds, holder: Holder?, waiterCount: Int)
    /// The wait ended without a lease, by CANCEL or with the session.
    case cancelled(LockNames, waited: Milliseconds)
    /// The request would wait for ever; so many edges were told before this line.
    case deadlock(LockNames, edgeCount: Int)
    /// One edge of a deadlock.
    indirect case edge(EdgeLine)
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
    /// One lease that has ended.
    indirect case hold(HoldLine)
    /// The end of a listing, or of one page of it if there is a `next`.
    case end(next: Cursor?)
    /// The session is told from now on of what happens to names that begin with `prefix`: the answer to WATCH.
    case watching(prefix: LockName?)
    /// The session is told no more: the answer to UNWATCH.
    case unwatched
    /// The lease with this token was taken from its holder.
    case revoked(LockNames, token: FencingToken)
    /// The lease is held by this user, and is not the asking session's to revoke.
    case denied(LockNames, token: FencingToken, holder: UserID)
    /// One line of STATS; the key is lower-case ASCII with dashes, the value has no space.
    indirect case statistic(key: String, value: String)
    /// One line of HISTOGRAMS.
    indirect case histogram(HistogramLine)
    /// The answer to PING.
    case pong
    /// The answer to QUIT, the last line of the session.
    case bye
    /// The request was refused and has changed nothing.
    indirect case error(WireError)
    /// The event `* LOST`: the lease with this token is not held any more.
    indirect case lost(LockNames, token: FencingToken, reason: LossReason)
    /// The event `* LOST` without names: nothing that the session held is held any more.
    case lostEverything(reason: LossReason)
    /// The event `* RESTORED`: the daemon has restarted, and the session goes on with what it has.
    case restored(SessionID, Remainder)
    /// An event of WATCH.
    indirect case watched(WatchEvent)

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
        /// What the session has, if it was resumed.
        public var resumed: Remainder?

        /// A welcome with these values.
        public init(
            daemonVersion: String,
            version: UInt64,
            session: SessionID,
            process: ProcessID,
            features: [String],
            lineByteCount: Int,
            nameByteCount: Int,
            resumed: Remainder? = nil
        ) {
            self.daemonVersion = daemonVersion
            self.version = version
            self.session = session
            self.process = process
            self.features = features
            self.lineByteCount = lineByteCount
            self.nameByteCount = nameByteCount
            self.resumed = resumed
        }
    }

    /// What a session has still.
    public struct Remainder: Hashable, Sendable {
        /// How many leases it holds.
        public var leaseCount: Int
        /// How many of its requests wait.
        public var waiterCount: Int

        /// So many leases and waiting requests.
        public init(leaseCount: Int, waiterCount: Int) {
            self.leaseCount = leaseCount
            self.waiterCount = waiterCount
        }
    }

    /// The holder fields: who holds a lease, and how long by now.
    public struct Holder: Hashable, Sendable {
        /// Who holds the lease.
        public var peer: Peer
        /// How long it has been held.
        public var held: Milliseconds
        /// What it says about itself.
        public var note: Text?
        /// How many hold it; `peer` is the one that was granted first.
        public var count: Int

        /// The holder `peer`, holding for `held`, alone unless said otherwise.
        public init(peer: Peer, held: Milliseconds, note: Text? = nil, count: Int = 1) {
            self.peer = peer
            self.held = held
            self.note = note
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
        /// The systemd unit of that process when it connected.
        public var unit: Text?

        /// A peer of which this is known.
        public init(session: SessionID?, process: ProcessID?, user: UserID?, command: Text?, unit: Text? = nil) {
            self.session = session
            self.process = process
            self.user = user
            self.command = command
            self.unit = unit
        }
    }

    /// Why a lease was lost.
    public enum LossReason: Hashable, Sendable {
        /// The ttl ran out.
        case expired
        /// Somebody revoked it.
        case revoked(by: UserID?, process: ProcessID?, why: Text?)
        /// The record of what was held is damaged: said of everything that a session held.
        case logDamaged
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
