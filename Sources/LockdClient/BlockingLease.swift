import LockdModel

/// The right to a lock, or to several at once, from its grant until it is released or lost; that of a ``BlockingLockdClient``.
///
/// A lease lasts until ``release()``, until it is lost, until its client is closed, or until the process ends, whichever comes first. It outlives the daemon. That nothing refers to
/// the object any more does **not** end it.
///
/// May be used from any thread. In a forked child it is lost.
public final class BlockingLease: Sendable, CustomStringConvertible {
    /// The names of the locks, in the order in which they were asked for.
    ///
    /// They are held together, and released or lost together.
    public let names: [String]

    /// The first of ``names``.
    public var name: String { names[0] }

    /// The number that orders grants, as in ``Lease/token``.
    public let token: UInt64

    /// The lease before this one, if its holder did not release it: what it was doing may be half done.
    public let previous: AbandonedLease?

    private let shell: BlockingShell
    private let ending = Guarded<ClientAction.LeaseEnding?>(nil)

    init(names: [String], token: FencingToken, previous: AbandonedLease?, shell: BlockingShell) {
        self.names = names
        self.token = token.value
        self.previous = previous
        self.shell = shell
    }

    /// Ends the lease; the next waiter is granted the lock before this returns.
    ///
    /// It waits for the daemon to say so, and for a daemon to be there, however long that takes. To release a lease again does nothing.
    ///
    /// - Throws: ``LockdClientError`` with the code ``LockdClientError/Code/leaseLost`` if the lease was lost before, or may have been.
    public func release() throws {
        _ = try shell.ask { .releaseRequested($0, FencingToken(token)) }
        if let recordedLoss { throw LockdClientError.leaseLost(recordedLoss) }
    }

    /// Whether the lease was lost, as far as this process has been told.
    ///
    /// It looks for what the daemon has said, and does not block. That it is `false` says nothing about the next moment: a resource that must never see two
    /// holders has to compare tokens.
    public var isLost: Bool {
        guard shell.isInOwnProcess else { return true }
        if recordedLoss == nil { shell.look() }
        return recordedLoss != nil
    }

    /// Blocks until the lease is lost, and says how; `nil` if it was released instead, or if `timeout` has passed (CLOCK_MONOTONIC, rounded up to milliseconds).
    public func lost(within timeout: Duration? = nil) throws -> LeaseLoss? {
        guard shell.isInOwnProcess else { return LeaseLoss(.forked, lockNames: names, token: token) }
        let limit = try timeout.map { try Milliseconds(roundingUp: $0, "the time to wait for the loss") }
        return shell.awaitEnd(of: self, until: limit.map { .now() + $0 })
    }

    /// The names and the token.
    public var description: String { "\(names.map(Sentence.quotable).joined(separator: ", ")) (token \(token))" }

    /// How the lease was lost, if it was.
    var recordedLoss: LeaseLoss? {
        guard shell.isInOwnProcess else { return LeaseLoss(.forked, lockNames: names, token: token) }
        return ending.withLock { $0?.loss }
    }

    /// Records the end.
    func end(_ ending: ClientAction.LeaseEnding) { self.ending.withLock { $0 = ending } }
}
