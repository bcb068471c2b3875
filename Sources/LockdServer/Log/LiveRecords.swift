/// Where the record is that counts, for each slot that has one.
struct LiveRecords {
    private struct Place {
        /// One more than the position, so that 0 is none.
        var next: UInt64 = 0
        var byteCount: UInt32 = 0
    }

    private var places: [Place] = []
    /// How many bytes all of them take.
    private(set) var byteCount = 0

    /// Where the record of `slot` is.
    @inline(__always)
    func position(of slot: Int) -> UInt64? {
        guard slot < places.count, places[slot].next != 0 else { return nil }
        return places[slot].next - 1
    }

    /// Takes note of a record that counts in place of the former one.
    @inline(__always)
    mutating func set(_ slot: Int, at position: UInt64, byteCount count: Int) {
        while slot >= places.count { places.append(Place()) }
        byteCount += count - Int(places[slot].byteCount)
        places[slot] = Place(next: position + 1, byteCount: UInt32(count))
    }

    /// Takes note of bytes that were added to what the slot has, if it has anything.
    mutating func add(_ count: Int, to slot: Int) {
        guard position(of: slot) != nil else { return }
        byteCount += count
        places[slot].byteCount += UInt32(count)
    }

    /// Takes note that nothing of the slot counts any more.
    @inline(__always)
    mutating func remove(_ slot: Int) {
        guard slot < places.count else { return }
        byteCount -= Int(places[slot].byteCount)
        places[slot] = Place()
    }
}
