public import LockdModel

/// The lines of listings.
extension Reply {
    /// A line of a listing.
    package enum ListingLine {
        /// A lease.
        case lease(LeaseLine)
        /// A waiting request.
        case waiter(WaiterLine)

        /// The name of the lock.
        package var name: LockName {
            switch self {
            case .lease(let line): line.name
            case .waiter(let line): line.name
            }
        }

        /// Who holds it, or waits.
        package var peer: Peer {
            switch self {
            case .lease(let line): line.peer
            case .waiter(let line): line.peer
            }
        }

        /// How long it has been held, or waited for.
        package var duration: Milliseconds {
            switch self {
            case .lease(let line): line.held
            case .waiter(let line): line.waited
            }
        }

        /// How many wait for the lease; `nil` of one that waits itself.
        package var waiterCount: Int? {
            switch self {
            case .lease(let line): line.waiterCount
            case .waiter: nil
            }
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
        /// What it lives as long as; `nil` for its session.
        public var binding: Binding?
        /// How long its session, or what it is bound to, has been out of the daemon's sight; `nil` if it is not.
        public var detached: Milliseconds?
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
            binding: Binding? = nil,
            detached: Milliseconds? = nil,
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
            self.binding = binding
            self.detached = detached
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
        /// How long its session has been without a connection; `nil` if it has one.
        public var detached: Milliseconds?

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
            nameCount: Int = 1,
            detached: Milliseconds? = nil
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
            self.detached = detached
        }
    }

    /// A lease in a history.
    public struct HoldLine: Hashable, Sendable {
        /// The name of the lock.
        public var name: LockName
        /// The token of the grant.
        public var token: FencingToken
        /// How the lease has ended.
        public var outcome: LeaseOutcome
        /// Who held it.
        public var peer: Peer
        /// How long it had been waited for.
        public var waited: Milliseconds
        /// How long it was held.
        public var held: Milliseconds
        /// How long ago it has ended.
        public var ago: Milliseconds
        /// What the holder said about itself.
        public var note: Text?

        /// A line with these values.
        public init(
            name: LockName,
            token: FencingToken,
            outcome: LeaseOutcome,
            peer: Peer,
            waited: Milliseconds,
            held: Milliseconds,
            ago: Milliseconds,
            note: Text? = nil
        ) {
            self.name = name
            self.token = token
            self.outcome = outcome
            self.peer = peer
            self.waited = waited
            self.held = held
            self.ago = ago
            self.note = note
        }
    }
}
