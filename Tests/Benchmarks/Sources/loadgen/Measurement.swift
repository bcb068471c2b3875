import Histogram

/// How long to measure.
enum Extent {
    case seconds(Double)
    /// Until so many operations have been answered.
    case operations(Int)
}

/// What is counted between the end of the warm-up and the end of the measurement.
struct Measurement {
    private enum Phase {
        case warmingUp(until: UInt64)
        case measuring
        case over
    }

    private let extent: Extent
    private var phase: Phase
    private var startedAt: UInt64 = 0
    private var cpuTimeAtStart: UInt64 = 0

    private(set) var operations = 0
    /// Every operation that was answered, those before and after the measurement too.
    private(set) var answeredCount = 0
    private(set) var nanoseconds: UInt64 = 0
    /// How much of that time this process was on a CPU.
    ///
    /// Near 1, the figures are those of the load generator and not of the server.
    private(set) var cpuFraction = 0.0
    private(set) var latency = Histogram<UInt64>(
        highestTrackableValue: 60_000_000_000,
        numberOfSignificantValueDigits: .three
    )
    private(set) var wrongReplyCount = 0
    private(set) var firstWrongReply: LoadError?

    init(extent: Extent, warmUpSeconds: Double) {
        self.extent = extent
        phase = .warmingUp(until: Clock.now() + UInt64(warmUpSeconds * 1e9))
    }

    /// Whether nothing more is to be started.
    var isOver: Bool {
        if case .over = phase { true } else { false }
    }

    /// Counts `count` operations that were answered at `now`, `latency` nanoseconds after they were sent.
    mutating func record(_ count: Int, latency: UInt64, now: UInt64) {
        answeredCount += count
        switch phase {
        case .warmingUp(let end):
            if now >= end {
                phase = .measuring
                startedAt = now
                cpuTimeAtStart = Clock.cpuTime()
            }
        case .measuring:
            operations += count
            self.latency.record(latency, count: UInt64(count))
            if hasReachedEnd(at: now) {
                phase = .over
                nanoseconds = now - startedAt
                cpuFraction = Double(Clock.cpuTime() - cpuTimeAtStart) / Double(nanoseconds)
            }
        case .over:
            break
        }
    }

    /// Counts a reply that is not what it must be, in any phase.
    mutating func recordWrong(_ line: UnsafeRawBufferPointer, expected: String) {
        wrongReplyCount += 1
        if firstWrongReply == nil {
            firstWrongReply = .wrongReply(line, expected: expected)
        }
    }

    private func hasReachedEnd(at now: UInt64) -> Bool {
        switch extent {
        case .seconds(let seconds): Double(now - startedAt) >= seconds * 1e9
        case .operations(let count): operations >= count
        }
    }
}

extension Measurement {
    private static let percentiles = [("p50", 50.0), ("p99", 99.0), ("p999", 99.9)]

    private var operationsPerSecond: Double { Double(operations) / (Double(nanoseconds) / 1e9) }

    /// The figures as one line of JSON, latencies in nanoseconds.
    var json: String {
        var latencies = Self.percentiles.map { "\"\($0.0)\": \(latency.valueAtPercentile($0.1))" }
        latencies.append("\"max\": \(latency.maxRecorded)")
        let fields = [
            "\"operations\": \(operations)",
            "\"nanoseconds\": \(nanoseconds)",
            "\"operations_per_second\": \(operationsPerSecond)",
            "\"latency\": {\(latencies.joined(separator: ", "))}",
            "\"answered\": \(answeredCount)",
            "\"loadgen_cpu\": \(cpuFraction)",
            "\"wrong_replies\": \(wrongReplyCount)",
        ]
        return "{\(fields.joined(separator: ", "))}"
    }

    /// The figures for a reader.
    var text: String {
        var latencies = Self.percentiles.map { "\($0.0) \(microseconds(latency.valueAtPercentile($0.1)))" }
        latencies.append("max \(microseconds(latency.maxRecorded))")
        return """
            \(Int(operationsPerSecond)) operations/s (\(operations) in \(nanoseconds / 1_000_000) ms)
            latency: \(latencies.joined(separator: ", "))
            load generator: \(Int(cpuFraction * 100)) % of its core
            wrong replies: \(wrongReplyCount)
            """
    }

    private func microseconds(_ nanoseconds: UInt64) -> String {
        "\(nanoseconds / 1000).\(nanoseconds / 100 % 10) us"
    }
}
