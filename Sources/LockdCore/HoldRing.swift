import LockdModel

/// Whose a ring of places in the history is.
struct HoldRing: Linked {
    /// The slot of the lock.
    let lock: Int
    /// The token of the latest hold when the ring was last asked whether it is the one to give up.
    var seenToken: FencingToken
    /// In the list of rings.
    var links = Links()

    mutating func vacate() {}
}
