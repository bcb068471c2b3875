import LockdModel

/// How long to wait before the next attempt to reach the daemon: not at all at first, then 10 milliseconds, and twice as long each time, up to a second.
///
/// Every delay is shortened by up to a half, at random: when a daemon ends, all of its clients come back, and not all at once.
struct Backoff: Sendable {
    /// A daemon that is started at once needs about so long.
    static let shortest = Milliseconds(10)
    /// Who waits for a daemon that is away for long waits this much longer than necessary at the most, and costs nothing that could be measured.
    static let longest = Milliseconds.seconds(1)

    private var attempts = 0
    private var random: UInt64

    init(seed: UInt64) { random = seed }

    /// The delay before the next attempt.
    mutating func next() -> Milliseconds {
        defer { attempts += 1 }
        if attempts == 0 { return .zero }
        // The shift has a bound, so that it cannot overflow however many attempts there were.
        let length = min(Self.longest.count, Self.shortest.count << min(attempts - 1, 10))
        // Marsaglia, Xorshift RNGs, 2003: good enough to spread clients.
        random = max(1, random)
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return Milliseconds(length - Int64(random % UInt64(length / 2 + 1)))
    }

    /// The daemon has answered a request, or was there for long enough.
    mutating func reset() { attempts = 0 }
}

extension Milliseconds {
    static let zero = Milliseconds(0)
}
