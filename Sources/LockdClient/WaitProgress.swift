/// How a wait goes.
public struct WaitProgress: Hashable, Sendable {
    /// The names of the locks that are waited for.
    public let lockNames: [String]
    /// The place in the queue, 1 for the next to be granted.
    public let position: Int
    /// Of several names, the first on which the request cannot be granted yet; everything else is about that one.
    public let blockingName: String?
    /// Who holds the lock; `nil` if nobody does, and the request waits behind others.
    public let holder: LockHolder?
    /// How many requests wait for the lock, this one included.
    public let waiterCount: Int
}

/// Asks to be told how a wait goes.
public struct WaitReports {
    let interval: Duration
    let report: (WaitProgress) -> Void

    /// Calls `report` when the wait begins, and again when the position or the holder has changed, but no sooner than `interval` after the time before; what
    /// changes in between is told once, as it is then.
    ///
    /// It is called by the task that acquires, and where that runs: in order, and never after the answer. While it runs, that task does not go on, although the
    /// lock may have been granted already.
    ///
    /// - Parameters:
    ///   - interval: 100 milliseconds to 366 days.
    ///   - report: what to call.
    public static func every(_ interval: Duration, _ report: @escaping (WaitProgress) -> Void) -> Self {
        Self(interval: interval, report: report)
    }
}
