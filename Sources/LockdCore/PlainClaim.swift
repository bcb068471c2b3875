public import LockdModel

/// What there is to record of a claim that says nothing but a name, as most do: a ``ClaimRecord`` of which everything else is as usual.
public struct PlainClaim: ~Copyable, Sendable {
    /// What the session that asked called it; it belongs to that session.
    public let id: RequestID
    /// The only name that it is on, for one holder.
    public let name: LockName
    /// Its number in the one order of arrival.
    public let arrival: UInt64
    /// When it arrived.
    public let arrivedAt: MonotonicInstant
    /// The number of the grant; nothing while it waits.
    public let token: FencingToken?
    /// When the wait began, or the lease.
    public let since: MonotonicInstant
}

extension LockTable {
    /// What is in a slot for claims, if that is no more than a ``PlainClaim`` says.
    public mutating func plainClaim(in slot: Int) -> PlainClaim? {
        guard claims.isOccupied(slot), claims[slot].isPlain else { return nil }
        // What a wait may have besides is kept elsewhere.
        if claims[slot].token == nil, !progress.isEmpty || !bindings.isEmpty { return nil }
        return PlainClaim(
            id: claims[slot].id,
            name: locks[claims[slot].locks.first].name,
            arrival: claims[slot].arrival,
            arrivedAt: claims[slot].arrivedAt,
            token: claims[slot].token,
            since: claims[slot].since
        )
    }
}

extension Claim {
    /// Whether it says nothing but a name, and is its own session's.
    fileprivate var isPlain: Bool {
        guard note == nil, timeToLive == nil, deadline == nil, holderLimit == .exclusive, locks.isSingle else {
            return false
        }
        if case .named = owner { return false }
        return holder == id.session
    }
}
