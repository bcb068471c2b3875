import LockdModel

/// A lease that is bound to a process or a pipe, and not to the client that asked for it.
///
/// It goes on when the client is closed or its process ends. It ends with what it is bound to, by ``LockdClient/release(_:token:)`` of any process of the same
/// user, by its ttl, if it has one, or if it is revoked. It outlives the daemon. Nobody renews it by itself, and its loss is not told.
public struct BoundLease: Hashable, Sendable, CustomStringConvertible {
    /// The names of the locks, in the order in which they were asked for.
    public let names: [String]
    /// The number that orders grants, and that whoever releases or renews the lease has to know; see ``Lease/token``.
    public let token: UInt64
    /// The lease before this one, if its holder did not release it: what it was doing may be half done.
    public let previous: AbandonedLease?

    /// The first of ``names``.
    public var name: String { names[0] }

    /// The names and the token.
    public var description: String { "\(names.map(Sentence.quotable).joined(separator: ", ")) (token \(token))" }
}
