import ArgumentParser
import LockdModel
import LockdWire

/// What the daemon says of itself, as text for a monitoring system.
struct Exposition {
    /// How it is spelled.
    enum Format: String, CaseIterable, ExpressibleByArgument {
        /// OpenMetrics 1.0.
        case openmetrics
        /// The text format of Prometheus, version 0.0.4.
        case text

        /// The media type, for HTTP.
        var contentType: String {
            switch self {
            case .openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            }
        }
    }

    /// The lines of STATS.
    var statistics: [String: String] = [:]
    /// The lines of HISTOGRAMS.
    var histograms: [Reply.HistogramLine] = []

    /// All of it; what the daemon has not said is left out.
    func text(in format: Format) -> String {
        var writer = ExpositionWriter(format: format)
        if let version = statistics["version"] {
            writer.family("lockd_build", .info, "The daemon that runs.")
            writer.sample("_info", [("version", version)], "1")
        }
        if let start = statistics["start-time"].flatMap(UInt64.init) {
            writer.family("lockd_start_time_seconds", .gauge, "When the daemon started, since 1970.", unit: "seconds")
            writer.sample("", [], Self.decimal(start, digits: 3))
        }
        for (name, key, help) in Self.gauges {
            guard let value = statistics[key] else { continue }
            writer.family(name, .gauge, help, unit: name.hasSuffix("_bytes") ? "bytes" : nil)
            writer.sample("", [], value)
        }
        for counter in Self.counters {
            let values = counter.samples.compactMap { label, key in statistics[key].map { (label, $0) } }
            if values.isEmpty { continue }
            writer.family(counter.name, .counter, counter.help)
            for (label, value) in values {
                writer.sample("_total", counter.label.isEmpty ? [] : [(counter.label, label)], value)
            }
        }
        for (subject, name, help) in Self.timings {
            write(histograms.filter { $0.subject == subject && $0.name == nil }, "lockd_\(name)", help, to: &writer)
            let named = histograms.filter { $0.subject == subject && $0.name != nil }
            write(named, "lockd_lock_\(name)", "\(help) Of names that somebody had to wait for.", to: &writer)
        }
        writer.end()
        return writer.text
    }

    private func write(
        _ lines: [Reply.HistogramLine],
        _ name: String,
        _ help: String,
        to writer: inout ExpositionWriter
    ) {
        if lines.isEmpty { return }
        writer.family(name, .histogram, help, unit: "seconds")
        for line in lines {
            let labels = line.name.map { [("name", $0.display)] } ?? []
            var count: UInt64 = 0
            for bucket in line.buckets {
                // No daemon counts so far; what a broken one says ends nothing.
                count = count.addingReportingOverflow(bucket.count).overflow ? .max : count + bucket.count
                writer.sample("_bucket", labels + [("le", Self.bound(bucket.bound))], "\(count)")
            }
            writer.sample("_sum", labels, Self.decimal(line.sum, digits: 6))
            writer.sample("_count", labels, "\(count)")
        }
    }

    /// Microseconds as seconds, in the one spelling that OpenMetrics has for a number: `0.0001`, `1.0`; or `+Inf`.
    static func bound(_ microseconds: UInt64?) -> String {
        guard let microseconds else { return "+Inf" }
        var decimal = decimal(microseconds, digits: 6)
        while decimal.hasSuffix("0"), !decimal.hasSuffix(".0") { decimal.removeLast() }
        return decimal
    }

    /// A number with so many digits behind the point.
    private static func decimal(_ number: UInt64, digits: Int) -> String {
        var text = String(number)
        if text.count <= digits { text = String(repeating: "0", count: digits + 1 - text.count) + text }
        return "\(text.dropLast(digits)).\(text.suffix(digits))"
    }

    private static let gauges: [(name: String, key: String, help: String)] = [
        ("lockd_sessions", "sessions", "Sessions that there are."),
        ("lockd_sessions_detached", "detached", "Sessions without a connection, which may get one again."),
        ("lockd_locks", "locks", "Names that are held or waited for."),
        ("lockd_leases", "leases", "Leases that are held."),
        ("lockd_waiters", "waiters", "Requests that wait."),
        ("lockd_bound", "bound", "Leases and waits that are bound to a process or a pipe."),
        ("lockd_watchers", "watchers", "Sessions that watch."),
        ("lockd_log_bytes", "log-bytes", "What is written down for the next daemon."),
        ("lockd_log_limit_bytes", "log-limit-bytes", "The most that can be written down."),
        ("lockd_sessions_limit", "sessions-limit", "The most sessions."),
        ("lockd_leases_limit", "leases-limit", "The most leases."),
        ("lockd_waiters_limit", "waiters-limit", "The most requests that wait."),
        ("lockd_user_sessions_limit", "sessions-per-user-limit", "The most sessions of one user."),
        ("lockd_user_leases_limit", "leases-per-user-limit", "The most leases of one user."),
        ("lockd_user_waiters_limit", "waiters-per-user-limit", "The most requests of one user that wait."),
        ("lockd_user_limit_bytes", "bytes-per-user-limit", "The most that is kept for one user."),
    ]

    /// What only grows, and by what it is told apart: each value with its key.
    private struct Counter {
        var name: String
        var help: String
        var label = ""
        var samples: [(label: String, key: String)]
    }

    private static let counters = [
        Counter(name: "lockd_leases_granted", help: "Leases granted.", samples: [("", "granted")]),
        Counter(
            name: "lockd_leases_over",
            help: "Leases that are over, by how they ended.",
            label: "outcome",
            samples: ["released", "expired", "revoked", "ended"].map { ($0, $0) }
        ),
        Counter(
            name: "lockd_waits_failed",
            help: "Waits that ended without a lease.",
            label: "reason",
            samples: [("timeout", "timeouts"), ("cancelled", "cancelled")]
        ),
        Counter(
            name: "lockd_requests_busy",
            help: "Requests that were not to wait, or not behind so many, for a lock that was not free.",
            samples: [("", "busy")]
        ),
        Counter(
            name: "lockd_requests_deadlocked",
            help: "Requests refused because they would have waited for ever.",
            samples: [("", "deadlocks")]
        ),
        Counter(name: "lockd_requests_refused", help: "Lines answered ERROR.", samples: [("", "refused")]),
        Counter(name: "lockd_sessions_accepted", help: "Sessions that began.", samples: [("", "sessions-accepted")]),
        Counter(
            name: "lockd_sessions_refused",
            help: "Connections that were one too many.",
            samples: [("", "sessions-refused")]
        ),
    ]

    private static let timings: [(subject: HistogramSubject, name: String, help: String)] = [
        (.wait, "wait_seconds", "For how long leases were waited for that were granted."),
        (.hold, "hold_seconds", "For how long leases were held that are over."),
    ]
}

/// Spells metrics, in either format.
struct ExpositionWriter {
    /// What a family is of.
    enum Kind: String {
        case info
        case gauge
        case counter
        case histogram
    }

    private(set) var text = ""
    private let format: Exposition.Format
    private var name = ""

    init(format: Exposition.Format) { self.format = format }

    /// Begins a family; its samples follow.
    mutating func family(_ name: String, _ kind: Kind, _ help: String, unit: String? = nil) {
        self.name = name
        switch format {
        case .openmetrics:
            text += "# TYPE \(name) \(kind.rawValue)\n"
            if let unit { text += "# UNIT \(name) \(unit)\n" }
            text += "# HELP \(name) \(help)\n"
        case .text:
            // It knows no units and no infos, and what is called so is the sample itself.
            let suffix =
                switch kind {
                case .info: "_info"
                case .counter: "_total"
                case .gauge, .histogram: ""
                }
            text += "# HELP \(name)\(suffix) \(help)\n"
            text += "# TYPE \(name)\(suffix) \(kind == .info ? Kind.gauge.rawValue : kind.rawValue)\n"
        }
    }

    /// A sample of the family that was begun last.
    mutating func sample(_ suffix: String, _ labels: [(key: String, value: String)], _ value: String) {
        text += name + suffix
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.key)=\"\(Self.escape($0.value))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    /// Says that this is all.
    mutating func end() {
        if format == .openmetrics { text += "# EOF\n" }
    }

    /// The value of a label as both formats want it between its quotes.
    ///
    /// One scalar after the other: a quote with an accent on it would be another character than a quote.
    private static func escape(_ value: String) -> String {
        value.unicodeScalars.reduce(into: "") { escaped, scalar in
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
    }
}
