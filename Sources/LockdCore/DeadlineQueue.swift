import HeapModule
import LockdModel

/// A moment at which time alone changes the table.
struct Deadline: Hashable, Comparable, Sendable {
    enum Subject: Hashable, Sendable {
        case lease(FencingToken)
        case wait(Arrival)
    }

    let instant: MonotonicInstant
    let subject: Subject

    /// By instant.
    ///
    /// At the same instant leases end before waits do, so that who waits just long enough is granted.
    static func < (left: Self, right: Self) -> Bool {
        if left.instant != right.instant { return left.instant < right.instant }
        switch (left.subject, right.subject) {
        case (.lease(let left), .lease(let right)): return left < right
        case (.lease, .wait): return true
        case (.wait, .lease): return false
        case (.wait(let left), .wait(let right)): return left < right
        }
    }
}

/// The deadlines of leases and waits, the earliest first.
///
/// A deadline that no longer counts, because its lease was renewed or its wait ended, stays until it comes up or until such stale ones are
/// more than half of all; so the queue is never longer than twice its use, and every operation costs O(log n) on average.
struct DeadlineQueue: Sendable {
    private var heap: Heap<Deadline> = []
    /// How many of those in the heap no longer count.
    private(set) var staleCount = 0

    /// How many there are, stale ones included.
    var count: Int { heap.count }

    /// Whether any deadline is due by `instant`, perhaps only one that no longer counts.
    func mayBeDue(by instant: MonotonicInstant) -> Bool {
        heap.min.map { $0.instant <= instant } ?? false
    }

    mutating func insert(_ deadline: Deadline) {
        heap.insert(deadline)
    }

    /// Records that one of the deadlines in the queue no longer counts.
    mutating func invalidateOne(leases: [FencingToken: Lease], waiters: [Arrival: Waiter]) {
        staleCount += 1
        guard staleCount > 64 + heap.count / 2 else { return }
        // A set, because a lease that is renewed to and fro can have the same deadline twice, once as a stale one.
        heap = Heap(Set(heap.unordered.lazy.filter { Self.counts($0, leases: leases, waiters: waiters) }))
        staleCount = 0
    }

    /// The earliest deadline that counts.
    mutating func earliest(leases: [FencingToken: Lease], waiters: [Arrival: Waiter]) -> Deadline? {
        while let deadline = heap.min {
            if Self.counts(deadline, leases: leases, waiters: waiters) { return deadline }
            heap.removeMin()
            staleCount -= 1
        }
        return nil
    }

    private static func counts(
        _ deadline: Deadline,
        leases: [FencingToken: Lease],
        waiters: [Arrival: Waiter]
    ) -> Bool {
        switch deadline.subject {
        case .lease(let token): leases[token]?.deadline == deadline.instant
        case .wait(let arrival): waiters[arrival] != nil
        }
    }
}
