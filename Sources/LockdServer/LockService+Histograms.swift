import LockdCore
import LockdModel
import LockdWire

/// For how long leases were waited for and held.
extension LockService {
    mutating func sayHistograms(_ after: Cursor?, _ limit: Int, _ id: RequestID) {
        let page = table.histogramLines(after: after, lineLimit: limit)
        for line in page.lines { answer(id, .histogram(Self.describe(line))) }
        answer(id, .end(next: page.next))
    }

    private static func describe(_ line: LockTable.HistogramLine) -> Reply.HistogramLine {
        let bounds = Histogram.bounds.map { $0 / 1000 as UInt64? } + [nil]
        return Reply.HistogramLine(
            name: line.name,
            subject: line.subject,
            count: line.histogram.count,
            // After half a million years it says no more.
            sum: UInt64(clamping: line.histogram.sum / 1000),
            buckets: zip(bounds, line.histogram.counts).map { Reply.HistogramLine.Bucket(bound: $0, count: $1) }
        )
    }
}
