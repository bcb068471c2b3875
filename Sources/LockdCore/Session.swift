import LockdModel

/// What the lock table knows of one client's session.
struct Session: Vacatable {
    let id: SessionID
    let peer: Peer
    /// The slot of its user's account.
    let user: Int
    var state = SessionState.open
    /// It is a lease that is bound to something else than a connection, and ends with it.
    var isBound = false
    /// Since when it has had no connection; nothing if it has one.
    var detachedAt: MonotonicInstant?
    /// The arrival of the last of all requests before it was resumed; 0 if it never was.
    var resumedThrough: UInt64 = 0
    /// Its leases, in the order in which they were granted.
    var leases = SlotList<Claim>()
    /// Its waits, in the order in which they arrived.
    var waits = SlotList<Claim>()
    /// The slots of the waits that have a tag.
    var waitsByTag: [Tag: Int] = [:]

    /// How much of what a session may have it has: each of its waits can become a lease at any moment.
    var load: Int { leases.count + waits.count }

    mutating func vacate() { waitsByTag = [:] }
}

/// Where a session is in its life.
enum SessionState: Hashable, Sendable {
    /// Lines may come. Can become `draining`.
    case open
    /// No more lines will come than have come, so nothing may start to wait. Can become `ended`.
    case draining
    /// The last line was applied; its leases are over since then, even those that are still to be worked off.
    case ended(at: MonotonicInstant)
}
