import LockdModel

/// How often something took how long: a count for each of a few ranges of time, and the sum of all.
///
/// To record what took no longer than the first bound, as most leases do, costs an addition to the sum and one to a count.
public struct Histogram: Hashable, Sendable {
    /// The most nanoseconds that each bucket but the last counts; the last one has no bound.
    ///
    /// From what a turn of the loop takes to what a job takes that runs at night, in steps of two to six, so that a quantile can be told from
    /// its neighbours, and round, so that `1 s` and `1 h` are among them for whoever asks how many took longer. Each is at least twice the one before:
    /// so between two powers of two there is no more than one, see ``bucket(of:)``.
    public static let bounds: [UInt64] = [
        100_000, 500_000, 1_000_000, 5_000_000, 10_000_000, 50_000_000, 100_000_000, 500_000_000, 1_000_000_000,
        5_000_000_000,
        10_000_000_000, 60_000_000_000, 300_000_000_000, 1_800_000_000_000, 3_600_000_000_000, 21_600_000_000_000,
    ]

    /// The sum of all, in nanoseconds, exact: what a hundred thousand leases are held for together is more than 64 bits can say after two days.
    public private(set) var sum: UInt128 = 0
    /// What is in the first bucket, apart from the others so that nothing has to be looked up for it.
    private var shortCount: UInt64 = 0
    private var longCounts = [UInt64](repeating: 0, count: bounds.count)

    /// The first of the bounds, as a number that is known when this is compiled.
    private static var shortest: UInt64 { 100_000 }

    /// How many there are in each bucket, the one without a bound last.
    public var counts: [UInt64] { [shortCount] + longCounts }

    /// How many there are in all.
    public var count: UInt64 { longCounts.reduce(shortCount, +) }

    /// Counts what took no time at all, so many times.
    @inline(__always)
    mutating func recordNothing(times: UInt64 = 1) { shortCount &+= times }

    /// Counts what began and ended at these instants; if the end is not later, it took no time.
    @inline(__always)
    mutating func record(from start: MonotonicInstant, to end: MonotonicInstant) {
        let length = UInt64(bitPattern: end.nanoseconds &- start.nanoseconds)
        guard length <= Self.shortest else { return recordLong(length) }
        shortCount &+= 1
        sum &+= UInt128(length)
    }

    @inline(never)
    private mutating func recordLong(_ length: UInt64) {
        // Less than nothing, seen as a number without a sign.
        guard length <= UInt64(Int64.max) else { return recordNothing() }
        longCounts[Self.bucket(of: length) - 1] &+= 1
        sum &+= UInt128(length)
    }

    /// The number of the bucket that counts so many nanoseconds.
    static func bucket(of length: UInt64) -> Int {
        let place = places[UInt64.bitWidth - length.leadingZeroBitCount]
        return place < bounds.count && length > bounds[place] ? place + 1 : place
    }

    /// Of the numbers with so many bits, the bucket of the least.
    private static let places: [Int] = (0...UInt64.bitWidth).map { bitCount in
        let least = bitCount == 0 ? 0 : UInt64(1) << (bitCount - 1)
        return bounds.firstIndex { least <= $0 } ?? bounds.count
    }
}
