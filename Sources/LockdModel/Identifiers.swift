/// The number that orders grants.
///
/// Every grant has a larger token than all grants before it, over release, crash and restart of the daemon. A resource
/// that remembers the largest token it has seen and refuses smaller ones is safe from a holder that does not know yet
/// that it lost its lease.
public struct FencingToken: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number itself, never 0.
    public let value: UInt64

    /// The token with this number.
    public init(_ value: UInt64) { self.value = value }

    /// The number in decimal digits.
    public var description: String { String(value) }

    /// Whether `left` was granted before `right`.
    public static func < (left: Self, right: Self) -> Bool { left.value < right.value }

    /// The hash for dictionaries: the daemon counts these numbers up itself, so nobody can choose them to collide, and the keyed hash that guards
    /// against that would be a fifth of what a request costs.
    public func _rawHashValue(seed: Int) -> Int { value.mixed(with: seed) }
}

/// The number of a session; the next daemon goes on with the same numbers.
public struct SessionID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number itself.
    public let value: UInt64

    /// The session with this number.
    public init(_ value: UInt64) { self.value = value }

    /// The number in decimal digits.
    public var description: String { String(value) }

    /// Whether `left` began before `right`.
    public static func < (left: Self, right: Self) -> Bool { left.value < right.value }

    /// The hash for dictionaries: the daemon counts these numbers up itself, so nobody can choose them to collide, and the keyed hash that guards
    /// against that would be a fifth of what a request costs.
    public func _rawHashValue(seed: Int) -> Int { value.mixed(with: seed) }
}

/// The kernel's number of a user.
public struct UserID: Hashable, Sendable, CustomStringConvertible {
    /// The number itself, as the daemon's user namespace sees it.
    public let value: UInt32

    /// The user with this number.
    public init(_ value: UInt32) { self.value = value }

    /// The superuser.
    public static let root = UserID(0)

    /// What the kernel says for every user that the daemon's user namespace does not map: many users, so nobody's
    /// rights.
    public static let overflow = UserID(65534)

    /// The number in decimal digits.
    public var description: String { String(value) }
}

/// The kernel's number of a process.
public struct ProcessID: Hashable, Sendable, CustomStringConvertible {
    /// The number itself, as the daemon's pid namespace sees it; 0 for a process outside of it.
    public let value: Int32

    /// The process with this number.
    public init(_ value: Int32) { self.value = value }

    /// The number in decimal digits.
    public var description: String { String(value) }
}
