public import LockdModel

/// What a request is that waits or holds, as far as it matters to the next daemon.
public struct ClaimRecord: Hashable, Sendable {
    /// What the session that asked called it.
    public var id: RequestID
    /// The session that it belongs to: the one that asked, or the one that a bound lease is.
    public var session: SessionID
    /// The names that it is on.
    public var names: LockNames
    /// How many holders of each of them it tolerates.
    public var holderLimit: HolderLimit
    /// The owner that the client named.
    public var owner: Text?
    /// Whether that owner does nothing else while this waits.
    public var holdsUpOwner: Bool
    /// What it says of itself.
    public var note: Text?
    /// Its number in the one order of arrival.
    public var arrival: UInt64
    /// When it arrived.
    public var arrivedAt: MonotonicInstant
    /// The number of the grant; nothing while it waits.
    public var token: FencingToken?
    /// When the wait began, or the lease.
    public var since: MonotonicInstant
    /// The longest the lease may be held without renewal.
    public var timeToLive: Milliseconds?
    /// When the wait runs out, or the lease ends.
    public var deadline: MonotonicInstant?
    /// How often to say how the wait goes, at most.
    public var progress: Milliseconds?
    /// While it waits: what its lease is to be bound to.
    public var boundHolder: BoundHolder?

    /// A request with these properties.
    public init(
        id: RequestID,
        session: SessionID,
        names: LockNames,
        holderLimit: HolderLimit = .exclusive,
        owner: Text? = nil,
        holdsUpOwner: Bool = false,
        note: Text? = nil,
        arrival: UInt64,
        arrivedAt: MonotonicInstant,
        token: FencingToken? = nil,
        since: MonotonicInstant,
        timeToLive: Milliseconds? = nil,
        deadline: MonotonicInstant? = nil,
        progress: Milliseconds? = nil,
        boundHolder: BoundHolder? = nil
    ) {
        self.id = id
        self.session = session
        self.names = names
        self.holderLimit = holderLimit
        self.owner = owner
        self.holdsUpOwner = holdsUpOwner
        self.note = note
        self.arrival = arrival
        self.arrivedAt = arrivedAt
        self.token = token
        self.since = since
        self.timeToLive = timeToLive
        self.deadline = deadline
        self.progress = progress
        self.boundHolder = boundHolder
    }
}
