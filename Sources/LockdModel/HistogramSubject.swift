/// What a histogram is of, by the word that the protocol has for it.
public enum HistogramSubject: String, CaseIterable, Hashable, Sendable {
    /// How long leases were waited for before they were granted.
    case wait
    /// How long leases were held.
    case hold
}
