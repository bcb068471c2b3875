/// How many holders of its name a lease tolerates, itself included.
public struct HolderLimit: Hashable, Comparable, Sendable {
    /// The most that a request can name, as many as there can be leases.
    public static let largestCount = 100_000

    // Not a constant, which is looked up in memory by a call, at every request.
    /// Nobody else: the default.
    @inlinable public static var exclusive: HolderLimit { HolderLimit(1) }
    /// Any number of others that tolerate as many.
    public static let shared = HolderLimit(.max)

    /// The number of holders, at least 1.
    public let count: Int

    /// The lease tolerates `count` holders.
    @inlinable
    public init(_ count: Int) {
        precondition(count > 0, "a lease tolerates itself, but the limit is \(count)")
        self.count = count
    }

    /// Whether `left` tolerates fewer holders.
    public static func < (left: Self, right: Self) -> Bool { left.count < right.count }
}
