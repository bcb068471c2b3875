import LockdModel

/// Who may hold a lock's name together with a lease.
public enum LeaseMode: Hashable, Sendable {
    /// Nobody.
    case exclusive
    /// Everybody else who asks for a shared lease.
    ///
    /// An exclusive request waits until all of those have ended, and no shared one overtakes it.
    case shared
    /// So many holders in all, 1 to 100,000: a semaphore, if everybody asks for the same number.
    case limit(Int)

    func holderLimit() throws(LockdClientError) -> HolderLimit {
        switch self {
        case .exclusive: return .exclusive
        case .shared: return .shared
        case .limit(let count):
            guard (1...HolderLimit.largestCount).contains(count) else {
                throw .invalidArgument("the limit is \(count); it can be 1 to \(HolderLimit.largestCount)")
            }
            return HolderLimit(count)
        }
    }
}
