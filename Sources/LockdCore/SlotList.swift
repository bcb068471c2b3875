/// What can be in a ``SlotList``: it carries the links to its neighbours itself.
protocol Linked: Vacatable {
    var links: Links { get set }
}

/// The neighbours of an element in the one list that it is in.
struct Links: Sendable {
    fileprivate var previous: Int?
    fileprivate var next: Int?
}

/// Elements of a slab in the order in which they were added.
///
/// The list needs no memory of its own, and every operation takes the same short time: an element knows its neighbours. It can be in one
/// list at a time.
struct SlotList<Element: Linked>: Sendable {
    private(set) var first: Int?
    private var last: Int?
    private(set) var count = 0

    var isEmpty: Bool { first == nil }

    /// Adds the element in `slot`, which must be in no list.
    mutating func append(_ slot: Int, in slab: inout Slab<Element>) {
        slab[slot].links = Links(previous: last, next: nil)
        if let last { slab[last].links.next = slot } else { first = slot }
        last = slot
        count += 1
    }

    /// Removes the element in `slot`, which must be in this list.
    mutating func remove(_ slot: Int, in slab: inout Slab<Element>) {
        let links = slab[slot].links
        if let previous = links.previous { slab[previous].links.next = links.next } else { first = links.next }
        if let next = links.next { slab[next].links.previous = links.previous } else { last = links.previous }
        slab[slot].links = Links()
        count -= 1
    }

    /// The slots of the elements, in their order.
    func slots(in slab: Slab<Element>) -> [Int] {
        var slots: [Int] = []
        var slot = first
        while let current = slot {
            slots.append(current)
            slot = slab[current].links.next
        }
        return slots
    }
}
