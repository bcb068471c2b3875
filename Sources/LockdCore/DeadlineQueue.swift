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

/// The deadlines of leases and waits, at most one of each, the earliest first.
///
/// Every operation costs O(log n). A binary heap that knows where everything is: the heap of swift-collections can only give back its first
/// element, so what was renewed or released would stay in it, and sweeping that out would be unbounded work in one event.
struct DeadlineQueue: Sendable {
    private var heap: [Deadline] = []
    private var places: [Deadline.Subject: Int] = [:]

    var count: Int { heap.count }

    /// The first deadline.
    var earliest: Deadline? { heap.first }

    /// The deadline of `subject`, if it has one.
    func deadline(of subject: Deadline.Subject) -> MonotonicInstant? {
        places[subject].map { heap[$0].instant }
    }

    /// Gives `subject` a deadline in place of the one that it may have.
    mutating func set(_ subject: Deadline.Subject, to instant: MonotonicInstant) {
        let deadline = Deadline(instant: instant, subject: subject)
        let place = places[subject] ?? heap.count
        if place == heap.count { heap.append(deadline) } else { heap[place] = deadline }
        sift(from: place)
    }

    /// Forgets the deadline of `subject`, which must have one.
    mutating func remove(_ subject: Deadline.Subject) {
        guard let place = places.removeValue(forKey: subject) else {
            preconditionFailure("\(subject) has no deadline")
        }
        let last = heap.removeLast()
        if place == heap.count { return }
        heap[place] = last
        sift(from: place)
    }

    /// Brings the deadline at `place` to where it belongs.
    private mutating func sift(from place: Int) {
        let deadline = heap[place]
        var place = place
        while place > 0, deadline < heap[(place - 1) / 2] {
            put(heap[(place - 1) / 2], at: place)
            place = (place - 1) / 2
        }
        while let child = earlierChild(of: place), heap[child] < deadline {
            put(heap[child], at: place)
            place = child
        }
        put(deadline, at: place)
    }

    private func earlierChild(of place: Int) -> Int? {
        let (left, right) = (2 * place + 1, 2 * place + 2)
        if right < heap.count { return heap[right] < heap[left] ? right : left }
        return left < heap.count ? left : nil
    }

    private mutating func put(_ deadline: Deadline, at place: Int) {
        heap[place] = deadline
        places[deadline.subject] = place
    }
}
