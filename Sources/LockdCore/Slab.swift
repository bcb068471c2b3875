/// What a ``Slab`` keeps: in a free slot the last element stays, without what it refers to.
protocol Vacatable: Sendable {
    /// Lets go of all memory that is not in the element itself.
    mutating func vacate()
}

/// Elements in numbered slots; a freed slot is used again.
///
/// An element keeps its slot for life, so that others can refer to it by number, and a listing can go on from one slot to the next
/// while elements come and go. Elements are read and changed where they are.
struct Slab<Element: Vacatable>: Sendable {
    // Not an array of optionals: those can be read only by copying them.
    private var elements: [Element] = []
    private var occupancy: [Bool] = []
    private var freeSlots: [Int] = []

    /// How many slots there are, free ones included.
    var slotCount: Int { elements.count }

    /// How many elements there are.
    var count: Int { elements.count - freeSlots.count }

    /// Makes room for so many elements in all.
    mutating func reserveCapacity(_ count: Int) {
        elements.reserveCapacity(count)
        occupancy.reserveCapacity(count)
    }

    /// Puts `element` into a free slot and says which.
    mutating func insert(_ element: consuming Element) -> Int {
        if let slot = freeSlots.popLast() {
            elements[slot] = element
            occupancy[slot] = true
            return slot
        }
        elements.append(element)
        occupancy.append(true)
        return elements.count - 1
    }

    /// Frees `slot`.
    mutating func remove(at slot: Int) {
        precondition(occupancy[slot], "slot \(slot) is free already")
        elements[slot].vacate()
        occupancy[slot] = false
        freeSlots.append(slot)
    }

    /// The element in `slot`, which must not be free.
    subscript(slot: Int) -> Element {
        _read {
            precondition(occupancy[slot], "slot \(slot) is free")
            yield elements[slot]
        }
        _modify {
            precondition(occupancy[slot], "slot \(slot) is free")
            yield &elements[slot]
        }
    }

    /// Whether there is an element in `slot`.
    func isOccupied(_ slot: Int) -> Bool { occupancy.indices.contains(slot) && occupancy[slot] }

    /// The slots that hold an element, in ascending order.
    var occupiedSlots: some Sequence<Int> { occupancy.indices.lazy.filter { occupancy[$0] } }
}
