import Glibc

/// A figure under the name that it has in the tables of clients.py.
struct Figure {
    let name: String
    let value: Double

    /// The latencies of a table.
    static func latencies(_ nanoseconds: [UInt64]) throws -> [Figure] {
        guard !nanoseconds.isEmpty else { throw LoadError("nothing was measured") }
        let ordered = nanoseconds.sorted()
        let p50 = Double(ordered[ordered.count / 2]) / 1000
        let p99 = Double(ordered[ordered.count * 99 / 100]) / 1000
        return [Figure(name: "p50 us", value: p50), Figure(name: "p99 us", value: p99)]
    }
}

/// Something that must not happen in a measurement.
struct LoadError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    static func system(_ call: String) -> LoadError { LoadError("\(call): \(String(cString: strerror(errno)))") }
}

enum Clock {
    /// CLOCK_MONOTONIC, in nanoseconds.
    static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
