import LockdModel

/// A moment at which time alone changes the table.
struct Deadline: Hashable, Comparable, Sendable {
    let instant: MonotonicInstant
    /// Whether a wait runs out then, and not a lease.
    let isOfWait: Bool
    /// The token of the lease, or the arrival of the wait.
    let number: UInt64
    /// The slot of the claim.
    let claim: Int

    /// By instant.
    ///
    /// At the same instant leases end before waits do, so that who waits just long enough is granted.
    static func < (left: Self, right: Self) -> Bool {
        (left.instant, left.isOfWait ? 1 : 0, left.number) < (right.instant, right.isOfWait ? 1 : 0, right.number)
    }
}

/// The deadlines of claims, at most one of each, the earliest first.
///
/// Every operation costs O(log n). A binary heap that knows where everything is: the heap of swift-collections can only give back its first
/// element, so what was renewed or released would stay in it, and sweeping that out would be unbounded work in one event.
struct DeadlineQueue: Sendable {
    private var heap: [Deadline] = []
    /// Where in the heap the deadline of a claim is.
    private var indices: [Int: Int] = [:]

    var count: Int { heap.count }

    /// The first deadline.
    var earliest: Deadline? { heap.first }

    /// The deadline of `claim`, if it has one.
    func deadline(of claim: Int) -> Deadline? {
        indices[claim].map { heap[$0] }
    }

    /// Makes room for so many deadlines in all.
    mutating func reserveCapacity(_ count: Int) {
        heap.reserveCapacity(count)
        indices.reserveCapacity(count)
    }

    /// Adds a deadline, in place of the one that its claim may have.
    mutating func set(_ deadline: Deadline) {
        let index = indices[deadline.claim] ?? heap.count
        if index == heap.count { heap.append(deadline) } else { heap[index] = deadline }
        sift(from: index)
    }

    /// Forgets the deadline of `claim`, which must have one.
    mutating func remove(_ claim: Int) {
        guard let index = indices.removeValue(forKey: claim) else {
            preconditionFailure("claim \(claim) has no deadline")
        }
        let last = heap.removeLast()
        if index == heap.count { return }
        heap[index] = last
        sift(from: index)
    }

    /// Brings the deadline at `start` to where it belongs.
    private mutating func sift(from start: Int) {
        let deadline = heap[start]
        var index = start
        while index > 0, deadline < heap[(index - 1) / 2] {
            put(heap[(index - 1) / 2], at: index)
            index = (index - 1) / 2
        }
        while let child = earlierChild(of: index), heap[child] < deadline {
            put(heap[child], at: index)
            index = child
        }
        put(deadline, at: index)
    }

    private func earlierChild(of index: Int) -> Int? {
        let (left, right) = (2 * index + 1, 2 * index + 2)
        if right < heap.count { return heap[right] < heap[left] ? right : left }
        return left < heap.count ? left : nil
    }

    private mutating func put(_ deadline: Deadline, at index: Int) {
        heap[index] = deadline
        indices[deadline.claim] = index
    }
}
