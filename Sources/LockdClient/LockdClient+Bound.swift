import LockdModel
import LockdWire

/// Leases that outlive the client.
extension LockdClient {
    /// Acquires the lock `name`, or several at once, by a lease that lives as long as something else than this client.
    ///
    /// While it waits, the request belongs to this client, and to what it is to be bound to: it ends with either
    /// (``LockdClientError/Code/connectionLost``, ``LockdClientError/Code/bindingEnded``). The parameters and errors are otherwise those of
    /// ``acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``, but nobody renews the lease by itself.
    ///
    /// If the connection ends, or the client is closed, while the grant is on its way, the lease may have been granted all the same; then it goes on until
    /// what it is bound to ends.
    ///
    /// A descriptor in `binding` is copied, and stays the caller's.
    ///
    /// - Throws: ``LockdClientError``; `CancellationError` if the task was cancelled.
    public nonisolated(nonsending) func acquire(
        _ name: String,
        _ others: String...,
        boundTo binding: LeaseBinding,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil
    ) async throws -> BoundLease {
        try await acquire(
            [name] + others,
            boundTo: binding,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note,
            progress: progress
        )
    }

    /// The same, for names that are found out at run time.
    public nonisolated(nonsending) func acquire(
        _ names: [String],
        boundTo binding: LeaseBinding,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil
    ) async throws -> BoundLease {
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
        let report = { (news: WaitProgress) -> Void in progress?.report(news) }
        let answer = try await shell.get().ask({ .boundAcquireRequested($0, request, descriptor) }, report)
        guard case .bound(let lease) = answer else { preconditionFailure("\(names) were acquired without a lease") }
        return lease
    }

    /// Ends a bound lease, whichever process of this user asked for it; root can end anybody's.
    ///
    /// It waits for the daemon to say so, whether the task is cancelled or not, and for a daemon to be there, however long that takes.
    ///
    /// - Parameters:
    ///   - name: any name of the lease.
    ///   - token: that of the lease, ``BoundLease/token``.
    /// - Throws: ``LockdClientError``, with the code ``LockdClientError/Code/notHeld`` if there is no such lease.
    public nonisolated(nonsending) func release(_ name: String, token: UInt64) async throws {
        let name = try LockName(argument: name)
        try await shell.get().ask { .boundReleaseRequested($0, name, FencingToken(token)) }
    }

    /// Moves the deadline of a bound lease to now plus `ttl`; without it, plus the ttl that the lease has.
    ///
    /// - Parameters:
    ///   - name: any name of the lease.
    ///   - token: that of the lease, ``BoundLease/token``.
    ///   - ttl: rounded up to milliseconds. A lease that has none and is given none stays without.
    /// - Throws: ``LockdClientError``, with the code ``LockdClientError/Code/notHeld`` if there is no such lease; `CancellationError` if the task was cancelled.
    public nonisolated(nonsending) func renew(_ name: String, token: UInt64, ttl: Duration? = nil) async throws {
        let name = try LockName(argument: name)
        let timeToLive = try ttl.map(AcquireTerms.timeToLive)
        try await shell.get().ask { .boundRenewRequested($0, name, FencingToken(token), timeToLive) }
    }
}
