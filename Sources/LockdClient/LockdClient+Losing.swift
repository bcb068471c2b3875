extension LockdClient {
    /// Acquires the lock `name`, or several at once, calls `body` with the lease, and releases it; says what is to happen if the lease is lost meanwhile.
    ///
    /// The parameters and errors are those of ``acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``. With ``LossResponse/cancelBody``
    /// `body` runs in a task of its own, a child of the caller's, which is cancelled when that is, or when the lease is lost. This returns when `body` has ended.
    ///
    /// ```swift
    /// try await client.withLease("reports/nightly", onLoss: .cancelBody) { lease in
    ///     for report in reports {
    ///         try Task.checkCancellation()
    ///         try await write(report, fencingToken: lease.token)
    ///     }
    /// }
    /// ```
    ///
    /// - Throws: also ``LockdClientError`` with the code ``LockdClientError/Code/leaseLost`` if the lease was lost, or may have been, before `body` ended, and
    ///   `body` returned or threw `CancellationError`. Any other error of `body` is passed on as it is.
    public func withLease<Result: Sendable>(
        _ name: String,
        _ others: String...,
        onLoss: LossResponse,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil,
        _ body: @escaping @Sendable (Lease) async throws -> Result
    ) async throws -> Result {
        try await withLease(
            [name] + others,
            onLoss: onLoss,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note,
            progress: progress,
            body
        )
    }

    /// The same, for names that are found out at run time.
    public func withLease<Result: Sendable>(
        _ names: [String],
        onLoss: LossResponse,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil,
        _ body: @escaping @Sendable (Lease) async throws -> Result
    ) async throws -> Result {
        let lease = try await acquire(
            names,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note,
            progress: progress
        )
        return try await lease.whileHeld(onLoss: onLoss, body)
    }
}

extension Lease {
    /// Calls `body`, and releases the lease; what happens if the lease is lost is said at ``LockdClient/withLease(_:_:onLoss:mode:waitTimeout:maxQueue:ttl:owner:note:progress:_:)``.
    ///
    /// With `patience` it returns after that time although the daemon has not said that the lease has ended: it will hear of it when it is there again.
    package func whileHeld<Result: Sendable>(
        onLoss: LossResponse,
        patience: Duration? = nil,
        _ body: @escaping @Sendable (Lease) async throws -> Result
    ) async throws -> Result {
        let result: Result
        do {
            result = onLoss == .cancelBody ? try await cancellingOnLoss(body) : try await body(self)
        } catch let error as CancellationError {
            // That it was cancelled says less than why.
            if isLost { try await release() } else { try? await release(within: patience) }
            throw error
        } catch {
            // Whatever comes of the release, the error of the body says more about what happened.
            try? await release(within: patience)
            throw error
        }
        try await release(within: patience)
        return result
    }

    private func release(within patience: Duration?) async throws {
        guard let patience else { return try await release() }
        let releasing = Task { try await release() }
        let alarm = Task { try? await Task.sleep(for: patience) }
        // Whichever comes first; to wait for the release could not be cancelled.
        let hasEnded = await withCheckedContinuation { continuation in
            let first = Guarded<CheckedContinuation<Bool, Never>?>(continuation)
            Task {
                _ = await releasing.result
                first.withLock { $0.take() }?.resume(returning: true)
            }
            Task {
                await alarm.value
                first.withLock { $0.take() }?.resume(returning: false)
            }
        }
        alarm.cancel()
        if hasEnded { try await releasing.value }
    }

    /// What one of the two tasks says that run while the lease is held.
    private enum Finished<Value: Sendable>: Sendable {
        case body(Result<Value, any Error>)
        case watcher(isLost: Bool)
    }

    private func cancellingOnLoss<Value: Sendable>(
        _ body: @escaping @Sendable (Lease) async throws -> Value
    ) async throws -> Value {
        let result = await withTaskGroup(of: Finished<Value>.self) { group in
            group.addTask {
                do {
                    return .body(.success(try await body(self)))
                } catch {
                    return .body(.failure(error))
                }
            }
            group.addTask { .watcher(isLost: await self.lost() != nil) }
            var result: Result<Value, any Error>?
            for await finished in group {
                switch finished {
                case .body(let ended):
                    result = ended
                    group.cancelAll()
                // It was released by the body, or the caller is cancelled, and with it the body.
                case .watcher(isLost: false): break
                case .watcher(isLost: true): group.cancelAll()
                }
            }
            return result
        }
        guard let result else { preconditionFailure("a task group ends when all of its tasks have") }
        return try result.get()
    }
}
