import LockdModel
import LockdWire

/// The order in which lines are shown, found by what little of each counts for it: the lines themselves are not kept.
struct Ranking {
    /// What lines can be put in order by.
    enum Order: String, CaseIterable {
        /// By the names of the locks; of one lock, its leases and then its queue.
        case name
        /// Those first that are held, or waited for, the longest.
        case time = "for"
        /// The leases first for which most wait.
        case waiters
    }

    /// What a line is sorted by: smaller ones first.
    private struct Key {
        var number: Int64 = 0
        /// The first bytes of the name, if it counts: few comparisons need more.
        var head: UInt128 = 0
        var place: Int
    }

    private let order: Order
    private var keys: [Key] = []
    private var names: [String] = []

    init(by order: Order) { self.order = order }

    /// Takes the next line into account.
    mutating func add(_ line: Reply.ListingLine) {
        var key = Key(place: keys.count)
        switch order {
        case .name: break
        case .time: key.number = -line.duration.count
        case .waiters: key.number = line.waiterCount.map { -Int64($0) } ?? 1
        }
        if order != .time {
            let name = line.name.spelling
            key.head = Self.head(name)
            names.append(name)
        }
        keys.append(key)
    }

    /// The lines' places in the order in which they came, in the order in which they are shown.
    ///
    /// Lines that are alike stay as the daemon has them, where a lock's are in the order of its queue.
    func places() -> [Int] {
        let sorted = keys.sorted { left, right in
            if left.number != right.number { return left.number < right.number }
            if left.head != right.head { return left.head < right.head }
            if order != .time, names[left.place] != names[right.place] { return names[left.place] < names[right.place] }
            return left.place < right.place
        }
        return sorted.map(\.place)
    }

    /// The first bytes of an ASCII text, so that numbers compare as the texts do.
    private static func head(_ text: String) -> UInt128 {
        var head: UInt128 = 0
        var free = UInt128.bitWidth
        for byte in text.utf8 where free > 0 {
            free -= UInt8.bitWidth
            head |= UInt128(byte) << free
        }
        return head
    }
}
