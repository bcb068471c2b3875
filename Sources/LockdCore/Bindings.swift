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

/// The waiting claims whose leases are to be bound.
///
/// They belong to the session that asked for as long as they wait; a bound lease is a session of its own, which has this one lease.
struct Bindings: Sendable {
    private var holders: [Int: BoundHolder] = [:]
    private var claims: [SessionID: Int] = [:]

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

    mutating func remove(_ claim: Int) -> BoundHolder? {
        guard let holder = holders.removeValue(forKey: claim) else { return nil }
        claims[holder.session] = nil
        return holder
    }
}
