import DequeModule

/// Elements in ascending order, where new ones are always the largest.
///
/// What arrives in order and leaves mostly at the front: wait queues by arrival, leases by token. Finding an element is a binary search;
/// removing one moves the shorter side of the rest. The first element lives outside of the deque, because most locks have one holder and
/// nobody waiting: such a lock needs no memory of its own.
struct AscendingDeque<Element: Comparable & Sendable>: Sendable, RandomAccessCollection {
    private(set) var first: Element?
    private var rest: Deque<Element> = []

    var startIndex: Int { 0 }
    var endIndex: Int { first == nil ? 0 : rest.count + 1 }
    var isEmpty: Bool { first == nil }

    subscript(index: Int) -> Element {
        if index == 0, let first { return first }
        return rest[index - 1]
    }

    /// Adds `element`, which must be larger than all others.
    mutating func append(_ element: Element) {
        guard let last = rest.last ?? first else {
            first = element
            return
        }
        precondition(last < element, "\(element) is not larger than the last element \(last)")
        rest.append(element)
    }

    /// Removes `element`, which must be there.
    mutating func remove(_ element: Element) {
        if first == element {
            first = rest.popFirst()
            return
        }
        let index = firstIndexOfRest(notBelow: element)
        precondition(index < rest.count && rest[index] == element, "\(element) is not an element")
        rest.remove(at: index)
    }

    /// Where `element` is, which must be there.
    func index(of element: Element) -> Int {
        if first == element { return 0 }
        let index = firstIndexOfRest(notBelow: element)
        precondition(index < rest.count && rest[index] == element, "\(element) is not an element")
        return index + 1
    }

    func contains(_ element: Element) -> Bool {
        if first == element { return true }
        let index = firstIndexOfRest(notBelow: element)
        return index < rest.count && rest[index] == element
    }

    /// The elements larger than `bound`.
    func elements(above bound: Element) -> SubSequence {
        if let first, first > bound { return self[...] }
        var start = firstIndexOfRest(notBelow: bound)
        if start < rest.count && rest[start] == bound { start += 1 }
        return self[Swift.min(start + 1, endIndex)...]
    }

    private func firstIndexOfRest(notBelow element: Element) -> Int {
        var (low, high) = (0, rest.count)
        while low < high {
            let middle = low + (high - low) / 2
            if rest[middle] < element { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
