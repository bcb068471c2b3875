extension WriteAheadLog {
    /// How large a log is, in bytes.
    struct Sizes {
        /// How large the ring is at first: so much memory even a daemon takes that has nothing to do, and so much of the processor's cache one that has
        /// much to do.
        var leastCapacity = 1 << 20
        /// How large it becomes at the most.
        var largestCapacity = 1 << 30
        /// With less room than this it grows, before anybody has to be refused.
        var reserve = 128 * 1024

        /// The least capacity in which so many bytes can count.
        func capacity(for byteCount: Int) -> Int {
            var capacity = leastCapacity
            while capacity < largestCapacity, capacity / WriteAheadLog.spaciousness < byteCount + reserve {
                capacity *= 2
            }
            return capacity
        }
    }

    /// Of so many bytes one may count: the others are what lets the ring go round without copying much.
    static let spaciousness = 4
}
