import DequeModule

/// Elements in ascending order, where new ones are always the largest.
///
/// What arrives in order and leaves mostly at the front: wait queues by arrival, leases by token. Finding an element is a binary search;
/// removing one moves the shorter side of the rest.
struct AscendingDeque<Element: Comparable & Sendable>: Sendable {
    private var elements: Deque<Element> = []

    var first: Element? { elements.first }
    var count: Int { elements.count }
    var isEmpty: Bool { elements.isEmpty }

    /// Adds `element`, which must be larger than all others.
    mutating func append(_ element: Element) {
        if let last = elements.last {
            precondition(last < element, "\(element) is not larger than the last element \(last)")
        }
        elements.append(element)
    }

    /// Removes `element`, which must be there.
    mutating func remove(_ element: Element) {
        let index = firstIndex(notBelow: element)
        precondition(index < elements.count && elements[index] == element, "\(element) is not an element")
        elements.remove(at: index)
    }

    func contains(_ element: Element) -> Bool {
        let index = firstIndex(notBelow: element)
        return index < elements.count && elements[index] == element
    }

    /// The elements larger than `bound` in ascending order, each with its place counted from 0.
    func elements(above bound: Element) -> some Sequence<(offset: Int, element: Element)> {
        var start = firstIndex(notBelow: bound)
        if start < elements.count && elements[start] == bound { start += 1 }
        return zip(start..<elements.count, elements[start...]).lazy.map { (offset: $0, element: $1) }
    }

    /// All elements in ascending order.
    var all: some Collection<Element> { elements }

    private func firstIndex(notBelow element: Element) -> Int {
        var (low, high) = (0, elements.count)
        // The oldest is asked for most often.
        if let first = elements.first, first >= element { return 0 }
        while low < high {
            let middle = low + (high - low) / 2
            if elements[middle] < element { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
