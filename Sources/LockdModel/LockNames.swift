/// The names of one lease, or of one request for a lease: at least one, all different, in the order in which they were asked for.
///
/// Nearly always it is one, which costs no memory of its own.
public struct LockNames: Hashable, Sendable, Sequence, CustomStringConvertible {
    /// The most names that a request can have: each costs as much as a request of its own.
    public static let maximumCount = 16

    /// The first of the names.
    public let first: LockName
    /// The other ones.
    public let others: [LockName]

    /// One name.
    @inlinable
    public init(_ name: LockName) {
        first = name
        others = []
    }

    /// Several names, `first` and `others`, or nothing if two of them are the same, or there are too many.
    public init?(_ first: LockName, _ others: [LockName]) {
        guard others.count < Self.maximumCount, Set(others).union([first]).count == others.count + 1 else { return nil }
        self.init(first: first, others: others)
    }

    init(first: LockName, others: [LockName]) {
        self.first = first
        self.others = others
    }

    /// These names and another one, or nothing if that is one of them, or too many.
    public func adding(_ name: LockName) -> LockNames? {
        contains(name) || count == Self.maximumCount ? nil : LockNames(first: first, others: others + [name])
    }

    /// The first name as it is, then what `transform` makes of the others.
    package static func mapping(_ first: LockName, _ others: [Int], _ transform: (Int) -> LockName) -> LockNames {
        LockNames(first: first, others: others.map(transform))
    }

    /// How many names there are.
    public var count: Int { others.count + 1 }

    /// Goes over the names, in their order.
    public struct Iterator: IteratorProtocol {
        fileprivate var first: LockName?
        fileprivate var others: [LockName].Iterator

        /// The next name.
        public mutating func next() -> LockName? { first.take() ?? others.next() }
    }

    /// Goes over the names, in their order.
    public func makeIterator() -> Iterator { Iterator(first: first, others: others.makeIterator()) }

    /// The canonical spellings, with a space between two.
    public var description: String { map(\.spelling).joined(separator: " ") }
}
