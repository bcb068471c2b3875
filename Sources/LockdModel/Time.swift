/// A length of time in whole milliseconds, never negative.
public struct Milliseconds: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The longest time that the protocol can say: 366 days.
    public static let maximum = Milliseconds(366 * 24 * 60 * 60 * 1000)

    /// The shortest time between two reports on a wait.
    public static let shortestProgress = Milliseconds(100)

    /// How many milliseconds.
    public let count: Int64

    /// A time of `count` milliseconds.
    public init(_ count: Int64) {
        precondition(count >= 0, "a length of time cannot be negative: \(count) ms")
        self.count = count
    }

    /// A time of `count` seconds.
    public static func seconds(_ count: Int64) -> Self { Self(count * 1000) }

    /// The time in the largest unit that says it exactly: `(90, "s")`, `(2, "m")`, `(1500, "ms")`.
    public var inLargestExactUnit: (count: Int64, unit: StaticString) {
        if count % 1000 != 0 || count == 0 { return (count, "ms") }
        if count % 60_000 != 0 { return (count / 1000, "s") }
        if count % 3_600_000 != 0 { return (count / 60_000, "m") }
        if count % 86_400_000 != 0 { return (count / 3_600_000, "h") }
        return (count / 86_400_000, "d")
    }

    /// The time in the largest unit that says it exactly, as the protocol spells it: `90s`, `2m`, `1500ms`.
    public var description: String {
        let (count, unit) = inLargestExactUnit
        return "\(count)\(unit)"
    }

    /// Whether `left` is shorter than `right`.
    public static func < (left: Self, right: Self) -> Bool { left.count < right.count }
}

/// A reading of CLOCK_MONOTONIC, in nanoseconds.
///
/// The clock stands still while the machine is suspended, so that a laptop's sleep expires nothing, and nobody can set
/// it. Its readings mean something until the machine boots again, in every process of the machine.
public struct MonotonicInstant: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Nanoseconds since some moment in the past, the boot as a rule.
    public let nanoseconds: Int64

    /// The instant at which the clock says `nanoseconds`.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Later than every instant that a clock says.
    public static let distantFuture = MonotonicInstant(nanoseconds: .max)

    /// The instant `length` after `instant`.
    public static func + (instant: Self, length: Milliseconds) -> Self {
        Self(nanoseconds: instant.nanoseconds + length.count * 1_000_000)
    }

    /// The whole milliseconds from `earlier` to `later`, rounded down; 0 if `later` is not later.
    public static func - (later: Self, earlier: Self) -> Milliseconds {
        Milliseconds(max(0, (later.nanoseconds - earlier.nanoseconds) / 1_000_000))
    }

    /// Whether `left` is before `right`.
    public static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The reading in nanoseconds.
    public var description: String { "\(nanoseconds)ns" }
}

/// How long a request may queue.
public enum WaitTimeout: Hashable, Sendable {
    /// Not at all: the request is a try.
    case none
    /// At most so long, counted from the moment its line is read.
    case after(Milliseconds)
    /// Until it is granted or cancelled.
    case never
}
