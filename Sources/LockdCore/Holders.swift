import LockdModel

/// The leases on one name, in the order in which they were granted, and how many all of them tolerate.
struct Holders: Sendable {
    private(set) var places = AscendingDeque<Place>()
    /// The least that any of them tolerates.
    private var leastLimit = HolderLimit.shared
    /// How many of them tolerate no more than that.
    private var strictestCount = 0

    var isEmpty: Bool { places.isEmpty }
    var count: Int { places.count }
    /// The one that was granted first.
    var first: Place? { places.first }

    /// Whether they and a lease with this limit tolerate one more.
    func admit(_ limit: HolderLimit) -> Bool { isEmpty || count < min(leastLimit, limit).count }

    /// Adds a lease, which they admit.
    mutating func append(_ place: Place, _ limit: HolderLimit) {
        if limit < leastLimit || isEmpty {
            leastLimit = limit
            strictestCount = 1
        } else if limit == leastLimit {
            strictestCount += 1
        }
        places.append(place)
    }

    /// Removes a lease, which must be there.
    ///
    /// If it was the last one of the strictest, those that are left say anew how many they tolerate: `limits` has the limit of each.
    mutating func remove(_ place: Place, _ limit: HolderLimit, limits: (Place) -> HolderLimit) {
        places.remove(place)
        guard limit == leastLimit else { return }
        strictestCount -= 1
        if strictestCount > 0 || isEmpty { return }
        leastLimit = places.map(limits).min() ?? .shared
        strictestCount = places.count { limits($0) == leastLimit }
    }
}
