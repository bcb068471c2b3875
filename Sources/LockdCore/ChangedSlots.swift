/// The slots of a slab that hold something else than when that was asked last, each once.
///
/// To mark a slot takes a few instructions, and no memory once there is as much as slots: each marked slot knows the one that was marked before it.
struct ChangedSlots: Sendable {
    /// Of each marked slot the one before it, or ``none``; of every other one ``unmarked``.
    private var previous: [Int] = []
    private var last = ChangedSlots.none

    @inline(__always) private static var none: Int { -1 }
    @inline(__always) private static var unmarked: Int { -2 }

    var isEmpty: Bool { last == Self.none }

    @inline(__always)
    mutating func mark(_ slot: Int) {
        guard slot < previous.count else { return markNew(slot) }
        guard previous[slot] == Self.unmarked else { return }
        previous[slot] = last
        last = slot
    }

    @inline(never)
    private mutating func markNew(_ slot: Int) {
        previous.append(contentsOf: repeatElement(Self.unmarked, count: slot + 1 - previous.count))
        mark(slot)
    }

    /// Adds the marked slots to `slots`, the latest first, and unmarks them.
    mutating func take(into slots: inout [Int]) {
        while last != Self.none {
            slots.append(last)
            (last, previous[last]) = (previous[last], Self.unmarked)
        }
    }
}
