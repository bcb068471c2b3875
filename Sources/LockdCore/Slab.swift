/// Elements in numbered slots; a freed slot is used again.
///
/// An element keeps its slot for life, so that others can refer to it by number, and a listing can go on from one slot to the next
/// while elements come and go.
struct Slab<Element: Sendable>: Sendable {
    private var slots: [Element?] = []
    /// Which slots hold an element: whether `slots` has one cannot be asked without copying it.
    private var occupancy: [Bool] = []
    private var freeSlots: [Int] = []

    /// How many slots there are, free ones included.
    var slotCount: Int { slots.count }

    /// Puts `element` into a free slot and says which.
    mutating func insert(_ element: Element) -> Int {
        if let slot = freeSlots.popLast() {
            slots[slot] = element
            occupancy[slot] = true
            return slot
        }
        slots.append(element)
        occupancy.append(true)
        return slots.count - 1
    }

    /// Frees `slot`.
    mutating func remove(at slot: Int) {
        precondition(occupancy[slot], "slot \(slot) is free already")
        slots[slot] = nil
        occupancy[slot] = false
        freeSlots.append(slot)
    }

    /// The element in `slot`, which must not be free.
    subscript(slot: Int) -> Element {
        _read {
            precondition(occupancy[slot], "slot \(slot) is free")
            // swift-format-ignore: NeverForceUnwrap, because only an unwrapped place can be read where it is; checked above.
            yield slots[slot]!
        }
        _modify {
            precondition(occupancy[slot], "slot \(slot) is free")
            // swift-format-ignore: NeverForceUnwrap, because only an unwrapped place can be changed where it is; checked above.
            yield &slots[slot]!
        }
    }

    /// Whether there is an element in `slot`, which exists.
    func isOccupied(_ slot: Int) -> Bool { occupancy[slot] }

    /// The element in `slot`, or nothing if that is free or does not exist.
    func element(at slot: Int) -> Element? {
        slots.indices.contains(slot) ? slots[slot] : nil
    }
}
