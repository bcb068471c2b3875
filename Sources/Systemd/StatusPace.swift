public import LockdModel

/// How often a status that changes all the time is told: at most once a second, and the last one always.
public struct StatusPace<Status: Equatable> {
    private let interval = Milliseconds(1000)
    private var told: Status?
    private var toldAt: MonotonicInstant?
    /// When to ask again, though nothing else has happened: what was held back is due then.
    public private(set) var dueAt: MonotonicInstant?

    /// Nothing was told yet.
    public init() {}

    /// Whether `status` is to be told now: it is not what was told last, and that was not within the last second.
    public mutating func tells(_ status: Status, at now: MonotonicInstant) -> Bool {
        guard status != told else {
            dueAt = nil
            return false
        }
        if let toldAt, now < toldAt + interval {
            dueAt = toldAt + interval
            return false
        }
        tell(status, at: now)
        return true
    }

    /// Takes note that `status` is told now, whatever was told when.
    public mutating func tell(_ status: Status, at now: MonotonicInstant) {
        (told, toldAt, dueAt) = (status, now, nil)
    }
}
