import CSystemd
public import LockdModel

/// When systemd is to be told that the service is alive, if it wants to be.
///
/// It is told by the loop itself, in its turns, so a loop that hangs is not spoken for; and the loop wakes up for it, so one that has nothing to do is.
public struct Watchdog {
    /// The instant of CLOCK_MONOTONIC from which on the next turn tells: the first one at once, others half of what systemd allows after the last time.
    public private(set) var dueAt: MonotonicInstant
    private let nanosecondsBetween: Int64

    /// What `$WATCHDOG_USEC` asks of this process: `nil` if nothing, or if `$WATCHDOG_PID` names another.
    ///
    /// - Throws: ``SystemdError`` if the variables are not what systemd would set.
    public init?() throws {
        var microseconds: UInt64 = 0
        let result = sd_watchdog_enabled(0, &microseconds)
        if result < 0 { throw SystemdError("cannot read WATCHDOG_USEC and WATCHDOG_PID", -result) }
        guard result > 0 else { return nil }
        self.init(microseconds: microseconds)
    }

    /// A service that is ended if it is not heard of for so long.
    init(microseconds: UInt64) {
        // Longer than a year is as good as never, and does not overflow.
        nanosecondsBetween = Int64(min(microseconds, 366 * 86_400 * 1_000_000)) * 500
        dueAt = MonotonicInstant(nanoseconds: 0)
    }

    /// Whether systemd is to be told now; then ``dueAt`` is moved on.
    ///
    /// To be asked once in each turn, with the instant at which that began.
    public mutating func keepAlive(at now: MonotonicInstant) -> Bool {
        guard now >= dueAt else { return false }
        dueAt = MonotonicInstant(nanoseconds: now.nanoseconds + nanosecondsBetween)
        return true
    }
}
