import LockdModel

/// What the lock table knows of one client's session.
struct Session: Sendable {
    let user: UserID
    var state = SessionState.open
    var leases = AscendingDeque<FencingToken>()
    var waiters = AscendingDeque<Arrival>()
    /// The waiting requests that have a tag.
    var arrivalsByTag: [Tag: Arrival] = [:]
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
