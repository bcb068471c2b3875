/// The slots of the locks that a claim is on, in the order of its names: nearly always one, which needs no memory of its own.
struct LockSlots: Hashable, Sendable, Sequence {
    let first: Int
    let others: [Int]

    init(_ first: Int, _ others: [Int] = []) {
        self.first = first
        self.others = others
    }

    var isSingle: Bool { others.isEmpty }
    var count: Int { others.count + 1 }

    func contains(_ slot: Int) -> Bool { slot == first || others.contains(slot) }

    struct Iterator: IteratorProtocol {
        fileprivate var first: Int?
        fileprivate var others: [Int].Iterator

        mutating func next() -> Int? { first.take() ?? others.next() }
    }

    func makeIterator() -> Iterator { Iterator(first: first, others: others.makeIterator()) }
}
