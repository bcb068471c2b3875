import LockdModel

/// How long leases were waited for and held, since the table was made: all of them, and those of some names.
struct Histograms: Sendable {
    /// Of each lease, from its arrival to its grant.
    var waits = Histogram()
    /// Of each lease that is over, from its grant to its end.
    var holds = Histogram()
    /// In the order in which they came to be, which is the one in which they are listed; none ever goes.
    private(set) var named: [NamedHistograms] = []
    private var places: [LockName: Int] = [:]
    private var counts: [UserID: Int] = [:]

    /// Where those of `name` are, if it has its own.
    func place(of name: LockName) -> Int? { places[name] }

    /// Where those of `name`, which has none, are from now on, if it may have its own because of a request of `user`.
    ///
    /// So many hold it by now.
    mutating func add(_ name: LockName, for user: UserID, holderCount: Int, _ limits: Limits) -> Int? {
        let count = counts[user, default: 0]
        guard named.count < limits.namedHistograms, count < limits.namedHistogramsPerUser || limits.exempts(user) else {
            return nil
        }
        counts[user] = count + 1
        places[name] = named.count
        named.append(NamedHistograms(name: name, earlierHolderCount: holderCount))
        return named.count - 1
    }

    mutating func recordWait(at place: Int, from start: MonotonicInstant, to end: MonotonicInstant) {
        named[place].queuedWaits.record(from: start, to: end)
    }

    @inline(never)
    mutating func recordHold(at place: Int, from start: MonotonicInstant, to end: MonotonicInstant) {
        named[place].holds.record(from: start, to: end)
    }
}

/// The histograms of one name.
struct NamedHistograms: Sendable {
    let name: LockName
    /// How many held the name when it got its histograms.
    let earlierHolderCount: Int
    /// Of the leases on it that were not granted at once.
    var queuedWaits = Histogram()
    var holds = Histogram()

    init(name: LockName, earlierHolderCount: Int) {
        (self.name, self.earlierHolderCount) = (name, earlierHolderCount)
    }

    /// The waits for all leases that were granted since, those at once among them, while so many hold the name.
    ///
    /// Those at once are not counted when they are granted, where it would cost every request something: they are who has held the name besides.
    func waits(holderCount: Int) -> Histogram {
        let grantCount = holds.count + UInt64(holderCount) - UInt64(earlierHolderCount)
        var waits = queuedWaits
        waits.recordNothing(times: grantCount - waits.count)
        return waits
    }
}
