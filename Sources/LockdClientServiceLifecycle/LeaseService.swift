public import LockdClient
public import ServiceLifecycle

/// A service that holds a lease while it runs: of all processes that run it, one is at work, and another one goes on when that ends.
///
/// ```swift
/// let scheduler = LeaseService(client, "scheduler") { lease in
///     for await tick in ticks.cancelOnGracefulShutdown() { try await runJobs(tick, fencingToken: lease.token) }
/// }
/// try await ServiceGroup(services: [database, scheduler], logger: logger).run()
/// ```
///
/// It waits for the lock as long as it takes, does its work, and then releases the lock:
///
/// * When a graceful shutdown begins while it waits, it waits no longer, and has ended; the work has not begun.
/// * When one begins while it is at work, the work is to see that and come to its end, as that of any service. The lock is held until it has, so that the next
///   process does not begin before.
/// * When the lease is lost, the work is cancelled, and ``run()`` throws `LockdClientError` with the code `leaseLost`; what the group does
///   then is up to its configuration.
/// * When the daemon restarts, nothing happens. If it is away when the work has ended, that is waited for two seconds at most. If there is none when the service begins, ``run()`` throws
///   `daemonUnavailable`: have your program start after `lockd.socket`.
///
/// It may be run again after it has ended.
public struct LeaseService: Service {
    private let client: LockdClient
    private let names: [String]
    private let mode: LeaseMode
    private let ttl: Duration?
    private let note: String?
    private let work: @Sendable (Lease) async throws -> Void

    /// A service that does `work` while it holds the lock `name`, and all of `others`.
    ///
    /// `client` is the caller's own, and has to be open as long as the service runs. The other parameters are those of `LockdClient.acquire`.
    ///
    /// The work should end when a graceful shutdown begins, and when it is cancelled. Without any, the lease is merely held until the shutdown.
    public init(
        _ client: LockdClient,
        _ name: String,
        _ others: String...,
        mode: LeaseMode = .exclusive,
        ttl: Duration? = nil,
        note: String? = nil,
        work: @escaping @Sendable (Lease) async throws -> Void = { _ in try await gracefulShutdown() }
    ) {
        self.init(client, [name] + others, mode: mode, ttl: ttl, note: note, work: work)
    }

    /// The same, for names that are found out at run time.
    public init(
        _ client: LockdClient,
        _ names: [String],
        mode: LeaseMode = .exclusive,
        ttl: Duration? = nil,
        note: String? = nil,
        work: @escaping @Sendable (Lease) async throws -> Void = { _ in try await gracefulShutdown() }
    ) {
        self.client = client
        self.names = names
        self.mode = mode
        self.ttl = ttl
        self.note = note
        self.work = work
    }

    /// A service that runs `service` while it holds the locks `names`.
    public init(
        _ client: LockdClient,
        _ names: [String],
        mode: LeaseMode = .exclusive,
        ttl: Duration? = nil,
        note: String? = nil,
        running service: any Service
    ) {
        self.init(client, names, mode: mode, ttl: ttl, note: note) { _ in try await service.run() }
    }

    /// Waits for the lock, does the work, and releases the lock.
    ///
    /// - Throws: what the work throws; `LockdClientError` if the lock cannot be acquired, or is lost; `CancellationError` if the task was cancelled.
    public func run() async throws {
        guard let lease = try await acquire() else { return }
        let isTooLate = Task.isShuttingDownGracefully
        try await lease.whileHeld(onLoss: .cancelBody, patience: .seconds(2), isTooLate ? { _ in } : work)
    }

    /// Returns `nil` if a graceful shutdown comes first.
    private func acquire() async throws -> Lease? {
        let wait = Task {
            try await client.acquire(names, mode: mode, ttl: ttl, note: note)
        }
        return try await withTaskCancellationOrGracefulShutdownHandler {
            do {
                return try await wait.value
            } catch is CancellationError {
                try Task.checkCancellation()
                return nil
            }
        } onCancelOrGracefulShutdown: {
            wait.cancel()
        }
    }
}
