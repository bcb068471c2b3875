import LockdModel

/// One lock: who holds its name, and who waits for it.
///
/// A lock is in the table only while it is held or waited for.
struct Lock: Sendable {
    let name: LockName
    /// The leases on the name.
    var holders = AscendingDeque<FencingToken>()
    /// The requests that wait for the name, the oldest first.
    var queue = AscendingDeque<Arrival>()
    /// When which of those waits runs out.
    var waitDeadlines = DeadlineQueue()

    /// Whether nobody holds the name or waits for it.
    var isIdle: Bool { holders.isEmpty && queue.isEmpty }

    /// Whether the request at the head of the queue may be granted: leases are exclusive.
    var admitsHead: Bool { holders.isEmpty }
}

/// The place of a request in the one order of arrival over all names.
struct Arrival: Hashable, Comparable, Sendable {
    let number: UInt64

    /// Before all arrivals.
    ///
    /// In a listing, the line before a lock's first.
    static let none = Arrival(number: 0)

    static func < (left: Self, right: Self) -> Bool { left.number < right.number }

    /// As for tokens and sessions: nobody can choose these numbers.
    func _rawHashValue(seed: Int) -> Int { number.mixed(with: seed) }
}

/// The right to a name.
struct Lease: Sendable {
    let token: FencingToken
    /// That of the request that was granted.
    let arrival: Arrival
    /// The slot of the lock.
    let lock: Int
    let session: SessionID
    let owner: Owner
    let note: Text?
    let grantedAt: MonotonicInstant
    var timeToLive: Milliseconds?
    /// When the lease ends unless it is renewed.
    var deadline: MonotonicInstant?
}

/// A request that waits for its turn.
struct Waiter: Sendable {
    let arrival: Arrival
    /// The slot of the lock.
    let lock: Int
    let request: AcquireRequest
    let since: MonotonicInstant
    /// When the wait runs out.
    let deadline: MonotonicInstant?
}

/// The logical thread that a request belongs to, within its session.
enum Owner: Hashable, Sendable {
    /// The request is untagged and names no owner: the session itself.
    case session
    /// The request is tagged and names no owner: an owner of its own.
    case request
    /// The owner that the request names.
    case named(Text)

    init(of request: AcquireRequest) {
        if let name = request.owner {
            self = .named(name)
        } else {
            self = request.id.tag == nil ? .session : .request
        }
    }

    /// The name that the client gave it, if any.
    var name: Text? {
        switch self {
        case .session, .request: nil
        case .named(let name): name
        }
    }

    /// Whether a lease of this owner is one that `other`, of the same session, holds too.
    func isSame(as other: Owner) -> Bool {
        switch (self, other) {
        case (.session, .session): true
        case (.named(let name), .named(let otherName)): name == otherName
        case (.request, _), (.session, _), (.named, _): false
        }
    }
}
