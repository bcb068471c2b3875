import LockdModel
import LockdWire

/// Leases that outlive the client.
extension BlockingLockdClient {
    /// Acquires a lock, or several at once, by a lease that lives as long as something else than this client.
    ///
    /// The parameters, and what is said of such leases, are those of
    /// ``LockdClient/acquire(_:boundTo:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``.
    ///
    /// - Throws: ``LockdClientError``.
    public func acquire(
        _ names: [String],
        boundTo binding: LeaseBinding,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil
    ) throws -> BoundLease {
        var request = try AcquireTerms(
            names,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note,
            progress: progress?.interval
        )
        request.binding = binding.kind
        let descriptor = try binding.descriptor(for: request.names)
        let answer = try shell.get().ask(
            { .boundAcquireRequested($0, request, descriptor) },
            { progress?.report($0) }
        )
        guard case .bound(let lease) = answer else { preconditionFailure("\(names) were acquired without a lease") }
        return lease
    }

    /// Ends a bound lease, as ``LockdClient/release(_:token:)`` does.
    ///
    /// - Throws: ``LockdClientError``, with the code ``LockdClientError/Code/notHeld`` if there is no such lease.
    public func release(_ name: String, token: UInt64) throws {
        let name = try LockName(argument: name)
        try shell.get().ask { .boundReleaseRequested($0, name, FencingToken(token)) }
    }

    /// Moves the deadline of a bound lease, as ``LockdClient/renew(_:token:ttl:)`` does.
    ///
    /// - Throws: ``LockdClientError``, with the code ``LockdClientError/Code/notHeld`` if there is no such lease.
    public func renew(_ name: String, token: UInt64, ttl: Duration? = nil) throws {
        let name = try LockName(argument: name)
        let timeToLive = try ttl.map(AcquireTerms.timeToLive)
        try shell.get().ask { .boundRenewRequested($0, name, FencingToken(token), timeToLive) }
    }
}
