import LockdModel

/// A request for one lock, or for several at once, from its arrival on: it waits, unless they are free, and then it is a lease.
struct Claim: Linked {
    /// What the session called it.
    let id: RequestID
    /// The slot of the session.
    private(set) var session: Int
    /// The number of that session.
    private(set) var holder: SessionID
    /// The slots of the locks.
    private(set) var locks: LockSlots
    /// How many holders of each lock it tolerates.
    let holderLimit: HolderLimit
    private(set) var owner: Owner
    private(set) var note: Text?
    /// Its number in the one order of arrival over all names.
    let arrival: UInt64
    /// When it arrived.
    let arrivedAt: MonotonicInstant
    /// What its user was charged with for it.
    var charge: Charge
    /// The number of the grant; nothing while the claim waits.
    var token: FencingToken?
    /// When the wait began, or the lease.
    var since: MonotonicInstant
    /// The longest the lease may be held without renewal.
    var timeToLive: Milliseconds?
    /// When the wait runs out, or the lease ends unless it is renewed.
    var deadline: MonotonicInstant?
    /// Whether it could have been granted at once, had grants not been suspended.
    var wasFree = false
    /// Whether its owner, which is named, does nothing else while it waits; see ``LockTable/noteWhomItHoldsUp(_:)``.
    var holdsUpOwner = false
    /// In the list of the session's waits, or of its leases.
    var links = Links()

    /// Makes it another session's, where it has no owner.
    mutating func move(to session: Int, _ holder: SessionID) {
        (self.session, self.holder) = (session, holder)
        owner = .request
    }

    /// Whether its end can make room for more leases than one, or its grant can add one while no other lease ends.
    var needsReserve: Bool { holderLimit != .exclusive || !locks.isSingle || wasFree }

    /// Of those who wait by its arrival, of those who hold by its token.
    func place(at slot: Int) -> Place { Place(number: token?.value ?? arrival, claim: slot) }

    mutating func vacate() {
        owner = .session
        note = nil
        if !locks.isSingle { locks = LockSlots(locks.first) }
    }
}

/// The logical thread that a request belongs to, within its session.
enum Owner: Hashable, Sendable {
    /// The request is untagged and names no owner: the session itself.
    case session
    /// The request is tagged and names no owner: an owner of its own.
    case request
    /// The owner that the request names.
    case named(Text)

    /// The owner of the request `id`, which names `name`.
    init(of id: RequestID, _ name: Text? = nil) {
        if let name {
            self = .named(name)
        } else {
            self = id.tag == nil ? .session : .request
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
