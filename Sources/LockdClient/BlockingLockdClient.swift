import LockdModel
import LockdWire

/// Leases by name, for plain threads: what ``LockdClient`` is for tasks.
///
/// ```swift
/// let client = BlockingLockdClient()
/// try client.withLease("reports/nightly", waitTimeout: .seconds(10)) { lease in
///     try writeReport(fencingToken: lease.token)
/// }
/// ```
///
/// Whoever asks writes the request and reads the reply on its own thread; nothing is handed from thread to thread as long as nobody else waits. One client serves all threads of a
/// process: they share one connection, and one of those who wait reads for all.
///
/// **Not for tasks.** These methods block their thread, and Swift's cooperative threads are few: in `async` code use ``LockdClient``.
///
/// What is said there of leases, of forks and of names holds here, too. **The daemon may restart** here as well. As nobody reads while nobody asks, that it has is noticed by the next
/// call, and so is a loss: by ``BlockingLease/isLost``, ``BlockingLease/lost(within:)`` and ``BlockingLease/release()``.
public final class BlockingLockdClient: Sendable {
    let shell: Result<BlockingShell, LockdClientError>

    /// A client of the daemon at `socket`; without it, of the one at `$LOCKD_SOCKET`, else `/run/lockd/lockd.sock`.
    ///
    /// Nothing is connected yet, and a path that cannot be is reported by the first request.
    ///
    /// - Parameters:
    ///   - socket: the path of the daemon's socket.
    ///   - user: the user's own daemon, at `$XDG_RUNTIME_DIR/lockd/lockd.sock`. Not together with `socket`.
    public init(socket: String? = nil, user: Bool = false) {
        shell = Result { () throws(LockdClientError) in
            BlockingShell(path: try SocketPath.find(argument: socket, user: user))
        }
    }

    init(shell: BlockingShell) { self.shell = .success(shell) }

    deinit {
        if case .success(let shell) = shell, shell.isInOwnProcess { shell.drop() }
    }

    /// Acquires the lock `name`, or several at once, calls `body` with the lease, and releases it, also if `body` throws.
    ///
    /// The parameters and errors are those of ``LockdClient/acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``. An error of `body` is passed on as
    /// it is.
    ///
    /// - Throws: also ``LockdClientError`` with the code ``LockdClientError/Code/leaseLost`` if `body` returned, but the lease was lost, or may have been,
    ///   before it did.
    public func withLease<Result>(
        _ name: String,
        _ others: String...,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil,
        _ body: (BlockingLease) throws -> Result
    ) throws -> Result {
        try withLease(
            [name] + others,
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
    public func withLease<Result>(
        _ names: [String],
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil,
        _ body: (BlockingLease) throws -> Result
    ) throws -> Result {
        let lease = try acquire(
            names,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note,
            progress: progress
        )
        let result: Result
        do {
            result = try body(lease)
        } catch {
            // Whatever comes of the release, the error of the body says more about what happened.
            try? lease.release()
            throw error
        }
        try lease.release()
        return result
    }

    /// Acquires the lock `name`, blocking until it is granted; with `others`, all of them at once, by one lease.
    ///
    /// The parameters and errors are those of ``LockdClient/acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``; `progress` is called by the thread
    /// that acquires. A lease with a `ttl` is renewed by a thread of the client's; if there can be no further thread, it is renewed only while somebody asks for something.
    ///
    /// - Throws: ``LockdClientError``.
    public func acquire(
        _ name: String,
        _ others: String...,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil
    ) throws -> BlockingLease {
        try acquire(
            [name] + others,
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
    public func acquire(
        _ names: [String],
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil
    ) throws -> BlockingLease {
        let request = try AcquireTerms(
            names,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note,
            progress: progress?.interval
        )
        let answer = try shell.get().ask({ .acquireRequested($0, request) }, { progress?.report($0) })
        guard case .lease(let lease) = answer else { preconditionFailure("\(names) were acquired without a lease") }
        return lease
    }

    /// Acquires the lock `name`, or several at once, if that is possible without waiting; returns `nil` if it is not.
    ///
    /// The parameters and errors are those of ``LockdClient/acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``.
    public func tryAcquire(
        _ name: String,
        _ others: String...,
        mode: LeaseMode = .exclusive,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil
    ) throws -> BlockingLease? {
        try tryAcquire([name] + others, mode: mode, ttl: ttl, owner: owner, note: note)
    }

    /// The same, for names that are found out at run time.
    public func tryAcquire(
        _ names: [String],
        mode: LeaseMode = .exclusive,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil
    ) throws -> BlockingLease? {
        do {
            return try acquire(names, mode: mode, waitTimeout: .zero, ttl: ttl, owner: owner, note: note)
        } catch let error as LockdClientError where error.code == .waitTimedOut {
            return nil
        }
    }

    /// The last leases on the lock `name` that have ended, the latest first, as in ``LockdClient/history(of:)``.
    ///
    /// - Throws: ``LockdClientError``.
    public func history(of name: String) throws -> [Hold] {
        let lockName = try LockName(argument: name)
        let answer = try shell.get().ask { .historyRequested($0, lockName) }
        guard case .history(let leases) = answer else { preconditionFailure("the history of \(name) is none") }
        return leases
    }

    /// Makes sure that the daemon answers, and that it has seen everything this client asked for before.
    ///
    /// - Throws: ``LockdClientError``.
    public func ping() throws {
        try shell.get().ask { .pingRequested($0) }
    }

    /// Ends everything: who waits gets an error (``LockdClientError/Code/closed``), every lease is lost, and the client cannot be used any more.
    ///
    /// Returns when the daemon has taken note, so that the locks are free, or after two seconds; then it takes note when it is there again, or goes on, as long as this process lives.
    /// To close a closed client does nothing.
    public func close() {
        // There is nothing to close behind a path that cannot be.
        if case .success(let shell) = shell { shell.close() }
    }
}
