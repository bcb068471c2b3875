import LockdModel
import LockdWire

/// Leases by name, one or several at once, granted by the daemon `lockd` to the processes of one machine.
///
/// ```swift
/// let client = LockdClient()
/// try await client.withLease("reports/nightly", waitTimeout: .seconds(10)) { lease in
///     try await writeReport(fencingToken: lease.token)
/// }
/// ```
///
/// One client serves all tasks of a process: they share one connection, which is made with the first request. A
/// process needs one client, unless it speaks to several daemons. What is asked for is answered in the order in which the daemon can grant it; requests for
/// one name are granted in their order of arrival at the daemon.
///
/// **Leases belong to the process.** When it ends, however it ends, its leases end, and the next waiters go on at once.
///
/// **The daemon may restart.** However it ends, leases go on and requests keep their places: the client connects again and goes on with its session. What is asked for
/// meanwhile takes longer, and nothing else is seen of it. An `acquire` waits for the daemon as long as it may wait for the lock; what would be answered at once
/// (``tryAcquire(_:_:mode:ttl:owner:note:)``, ``ping()``, ``history(of:)``) waits two seconds, and then throws ``LockdClientError/Code/daemonUnavailable``; what ends something is delivered
/// as soon as there is a daemon, and waits for that. Only the very first connection is not waited for.
///
/// **Fork.** A client must not be used in a forked child: it belongs to the parent, and so do its leases. The child is told so
/// (``LockdClientError/Code/forked``), writes nothing to the connection, and may make a client of its own. `exec` is fine: the connection is closed on exec.
///
/// **Names are bytes**: those of the string in UTF-8. Two strings that Swift takes for equal, because they differ only in how an accent is composed, are two
/// names.
public final class LockdClient: Sendable {
    let shell: Result<ClientShell, LockdClientError>

    /// A client of the daemon at `socket`; without it, of the one at `$LOCKD_SOCKET`, else `/run/lockd/lockd.sock`.
    ///
    /// Nothing is connected yet, and a path that cannot be is reported by the first request.
    ///
    /// - Parameters:
    ///   - socket: the path of the daemon's socket.
    ///   - user: the user's own daemon, at `$XDG_RUNTIME_DIR/lockd/lockd.sock`. Not together with `socket`.
    public init(socket: String? = nil, user: Bool = false) {
        shell = Result { () throws(LockdClientError) in
            ClientShell(path: try SocketPath.find(argument: socket, user: user))
        }
    }

    init(shell: ClientShell) { self.shell = .success(shell) }

    deinit {
        if case .success(let shell) = shell, shell.isInOwnProcess { shell.apply(.clientDropped) }
    }

    /// Acquires the lock `name`, or several at once, calls `body` with the lease, and releases it, also if `body` throws or the task is cancelled.
    ///
    /// The parameters and errors are those of ``acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``. `body` runs where the caller runs. An error of
    /// `body` is passed on as it is.
    ///
    /// - Throws: also ``LockdClientError`` with the code ``LockdClientError/Code/leaseLost`` if `body` returned, but the lease was lost, or may have been,
    ///   before it did.
    public nonisolated(nonsending) func withLease<Result>(
        _ name: String,
        _ others: String...,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil,
        _ body: (Lease) async throws -> Result
    ) async throws -> Result {
        try await withLease(
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
    public nonisolated(nonsending) func withLease<Result>(
        _ names: [String],
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil,
        _ body: (Lease) async throws -> Result
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
        let result: Result
        do {
            result = try await body(lease)
        } catch {
            // Whatever comes of the release, the error of the body says more about what happened.
            try? await lease.release()
            throw error
        }
        try await lease.release()
        return result
    }

    /// Acquires the lock `name`, waiting for it if need be; with `others`, all of them at once, by one lease.
    ///
    /// A request for several names waits until it is the first in the queue of each of them and all are free, and holds none of them until then. So two
    /// requests that share names never wait for each other, in whatever order they give them. Meanwhile whoever comes later for one of the names waits behind
    /// it, also where that name is free.
    ///
    /// If the task is cancelled while it waits, the wait ends at the daemon too: what this client asks for afterwards comes behind that, and a grant that was
    /// on its way already is given back.
    ///
    /// - Parameters:
    ///   - name: 1 to 255 bytes.
    ///   - others: further names, 16 in all at the most, all different.
    ///   - waitTimeout: how long the request may wait in the daemon's queue, rounded up to milliseconds; `nil` for as long as it takes, zero for not at all.
    ///     The time that it takes to connect is not counted, at most 5 seconds.
    ///   - mode: who may hold the names together with this lease.
    ///   - maxQueue: how many others may wait already, 0 to 100,000, for this request to wait too, for each of the names; `nil` for any number. If more do,
    ///     the request ends like one whose time to wait is over.
    ///   - ttl: the longest the lease may go on without a renewal, rounded up to milliseconds; `nil` for no bound but the life of this process. The client
    ///     renews by itself after every third of it, on a thread of its own, until the lease is released. So a ttl bounds how long a process keeps the lease
    ///     that is stopped or hangs as a whole, not one whose task hangs.
    ///   - owner: the logical thread that asks, 1 to 64 bytes. An owner that asks for what it holds is refused
    ///     (``LockdClientError/Code/alreadyHeld``) and does not wait for itself, nor, by way of others, for what only it can release
    ///     (``LockdClientError/Code/deadlock``). Without it, it is ``LeaseOwner/current``; without that, every request is an owner of its own, and no deadlock is
    ///     detected.
    ///   - note: shown to whoever looks at the lease, 1 to 256 bytes.
    ///   - progress: what to call while the request waits, and how often at most: `.every(.seconds(1)) { print($0.position) }`.
    /// - Throws: ``LockdClientError``; `CancellationError` if the task was cancelled.
    public nonisolated(nonsending) func acquire(
        _ name: String,
        _ others: String...,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil
    ) async throws -> Lease {
        try await acquire(
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
    public nonisolated(nonsending) func acquire(
        _ names: [String],
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil,
        progress: WaitReports? = nil
    ) async throws -> Lease {
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
        let report = { (news: WaitProgress) -> Void in progress?.report(news) }
        let answer = try await shell.get().ask({ .acquireRequested($0, request) }, report)
        guard case .lease(let lease) = answer else { preconditionFailure("\(names) were acquired without a lease") }
        return lease
    }

    /// Acquires the lock `name`, or several at once, if that is possible without waiting; returns `nil` if it is not.
    ///
    /// The parameters and errors are those of ``acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``.
    public nonisolated(nonsending) func tryAcquire(
        _ name: String,
        _ others: String...,
        mode: LeaseMode = .exclusive,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil
    ) async throws -> Lease? {
        try await tryAcquire([name] + others, mode: mode, ttl: ttl, owner: owner, note: note)
    }

    /// The same, for names that are found out at run time.
    public nonisolated(nonsending) func tryAcquire(
        _ names: [String],
        mode: LeaseMode = .exclusive,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil
    ) async throws -> Lease? {
        do {
            return try await acquire(names, mode: mode, waitTimeout: .zero, ttl: ttl, owner: owner, note: note)
        } catch let error as LockdClientError where error.code == .waitTimedOut {
            return nil
        }
    }

    /// Makes sure that the daemon answers, and that it has seen everything this client asked for before.
    ///
    /// - Throws: ``LockdClientError``; `CancellationError` if the task was cancelled.
    public nonisolated(nonsending) func ping() async throws {
        _ = try await shell.get().ask { .pingRequested($0) }
    }

    /// Ends everything: who waits gets an error (``LockdClientError/Code/closed``), every lease is lost, and the client cannot be used any more.
    ///
    /// Returns when the daemon has taken note, so that the locks are free, or when the task is cancelled, or after two seconds without a daemon, which then takes note when it
    /// is there again, as long as this process lives. To close a closed client does nothing.
    public nonisolated(nonsending) func close() async {
        // It cannot fail: there is nothing to close in a forked child, nor behind a path that cannot be.
        _ = try? await shell.get().ask { .closeRequested($0) }
    }
}

/// What the client library says of itself to the daemon, shown to operators.
enum ClientLibrary {
    static let text = try? Text("lockd-swift/\(LockdVersion.current)", limit: Text.shortLimit)
}
