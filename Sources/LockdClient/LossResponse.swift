/// What is to happen to the body of a `withLease` when its lease is lost.
public struct LossResponse: Hashable, Sendable {
    private enum Kind { case cancelBody, finishBody }

    private let kind: Kind

    /// The task that runs the body is cancelled as soon as the loss is heard of.
    ///
    /// The body ends when it notices that, and no sooner: until then it may run beside the next holder.
    public static let cancelBody = Self(kind: .cancelBody)

    /// Nothing: the body runs to its end, and may look at ``Lease/isLost`` or wait for ``Lease/lost()``.
    public static let finishBody = Self(kind: .finishBody)
}
