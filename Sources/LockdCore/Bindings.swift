public import LockdModel

/// What a lease is to live as long as, instead of its session.
public struct BoundHolder: Hashable, Sendable {
    /// The session that the lease will be; its number was never used before.
    public var session: SessionID
    /// The process that it is bound to, or, if it is bound to a pipe, the one that asked.
    public var peer: Peer

    /// A holder with a session of its own.
    public init(session: SessionID, peer: Peer) {
        self.session = session
        self.peer = peer
    }
}

/// The waiting claims whose leases are to be bound, and which leases have come of such.
///
/// Those that wait belong to the session that asked for as long as they wait; a bound lease is a session of its own, which has this one lease.
struct Bindings: Sendable {
    private var holders: [Int: BoundHolder] = [:]
    private var claims: [SessionID: Int] = [:]
    /// The bound leases that were asked for under a tag.
    private var leases: [RequestID: Set<Int>] = [:]

    /// Whether nothing waits that is to be bound.
    var isEmpty: Bool { holders.isEmpty }

    func contains(_ claim: Int) -> Bool { holders[claim] != nil }

    /// What the lease of a claim that waits is to be bound to.
    func holder(of claim: Int) -> BoundHolder? { holders[claim] }

    /// The claim that waits on behalf of `session`.
    func claim(of session: SessionID) -> Int? { claims[session] }

    mutating func insert(_ holder: BoundHolder, of claim: Int) {
        holders[claim] = holder
        claims[holder.session] = claim
    }

    /// The bound leases that a session has asked for under this tag, in no order.
    func leases(of id: RequestID) -> Set<Int> { leases.isEmpty ? [] : leases[id] ?? [] }

    mutating func insertLease(_ claim: Int, of id: RequestID) {
        if id.tag != nil { leases[id, default: []].insert(claim) }
    }

    mutating func removeLease(_ claim: Int, of id: RequestID) {
        leases[id]?.remove(claim)
        if leases[id]?.isEmpty == true { leases[id] = nil }
    }

    mutating func remove(_ claim: Int) -> BoundHolder? {
        guard let holder = holders.removeValue(forKey: claim) else { return nil }
        claims[holder.session] = nil
        return holder
    }
}
