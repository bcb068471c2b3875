public import LockdModel

extension Reply {
    /// How long leases were waited for, or held.
    public struct HistogramLine: Hashable, Sendable {
        /// How many took no longer than the bound, and longer than that of the bucket before.
        public struct Bucket: Hashable, Sendable {
            /// The longest that is counted here, in microseconds; `nil` for the last, which has no bound.
            public var bound: UInt64?
            /// How many there were.
            public var count: UInt64

            /// A bucket with so many in it.
            public init(bound: UInt64?, count: UInt64) {
                self.bound = bound
                self.count = count
            }
        }

        /// The name whose leases are counted; `nil` for all leases.
        public var name: LockName?
        /// What it is of.
        public var subject: HistogramSubject
        /// How many there were.
        public var count: UInt64
        /// How long all of them took together, in microseconds.
        public var sum: UInt64
        /// In the order of their bounds, the one without a bound last.
        public var buckets: [Bucket]

        /// A line with these values.
        public init(name: LockName?, subject: HistogramSubject, count: UInt64, sum: UInt64, buckets: [Bucket]) {
            self.name = name
            self.subject = subject
            self.count = count
            self.sum = sum
            self.buckets = buckets
        }

        /// The most bytes that a bucket takes in the line: two numbers, and what parts them.
        static let bucketByteCount = 42
    }
}

extension ReplyEncoder {
    static func write(_ line: Reply.HistogramLine, to writer: inout LineWriter) {
        writer.write("HISTOGRAM")
        writer.write(prefix: line.name)
        writer.write(" of=")
        writer.write(spelling: line.subject.rawValue)
        writer.writeField(" count=", line.count)
        writer.writeField(" sum-us=", line.sum)
        writer.write(" buckets-us=")
        for (index, bucket) in line.buckets.enumerated() {
            if index > 0 { writer.write(",") }
            if let bound = bucket.bound { writer.write(bound) } else { writer.write("inf") }
            writer.write(":")
            writer.write(bucket.count)
        }
    }
}

extension ReplyWords {
    mutating func histogram() throws(ReplyProblem) -> Reply.HistogramLine {
        Reply.HistogramLine(
            name: try nameIfAny(),
            subject: try required("of") { HistogramSubject(rawValue: .verbatim($0)) },
            count: try required("count", UInt64.init(decimal:)),
            sum: try required("sum-us", UInt64.init(decimal:)),
            buckets: try required("buckets-us") { Self.buckets(String.verbatim($0)) }
        )
    }

    /// Buckets in the order of their bounds, the last of which has none; or they are none.
    private static func buckets(_ words: String) -> [Reply.HistogramLine.Bucket]? {
        var buckets: [Reply.HistogramLine.Bucket] = []
        for word in words.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = word.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let count = number(parts[1]) else { return nil }
            // Behind the last one there is none.
            if let last = buckets.last, last.bound == nil { return nil }
            let bound = number(parts[0])
            guard bound != nil || parts[0] == "inf" else { return nil }
            if let bound, let before = buckets.last?.bound, bound <= before { return nil }
            buckets.append(Reply.HistogramLine.Bucket(bound: bound, count: count))
        }
        guard let last = buckets.last, last.bound == nil else { return nil }
        return buckets
    }

    private static func number(_ digits: Substring) -> UInt64? {
        Array(digits.utf8).withUnsafeBytes { UInt64(decimal: $0) }
    }
}
