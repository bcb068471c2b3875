import LockdModel
import LockdWire

/// What happens and has happened to locks.
extension LockdClient {
    /// The last leases on the lock `name` that have ended, the latest first.
    ///
    /// The daemon remembers 16 of a name at the most, and forgets all of them when it ends. Everybody who may connect may look.
    ///
    /// - Throws: ``LockdClientError``; `CancellationError` if the task was cancelled.
    public nonisolated(nonsending) func history(of name: String) async throws -> [Hold] {
        let lockName = try LockName(argument: name)
        let answer = try await shell.get().ask { .historyRequested($0, lockName) }
        guard case .history(let leases) = answer else { preconditionFailure("the history of \(name) is none") }
        return leases
    }

    /// Tells of whatever happens to the locks whose names begin with the UTF-8 bytes of `prefix`, or to all without one, from the moment this returns.
    ///
    /// ```swift
    /// for try await event in try await client.watch(prefix: "jobs/") {
    ///     if case .granted(let lease, let token, _) = event { print(lease.lockNames, token) }
    /// }
    /// ```
    ///
    /// It has a connection of its own, which goes on when the client is closed. Everybody who may connect may watch, up to 64 at a time.
    ///
    /// - Throws: ``LockdClientError``; `CancellationError` if the task was cancelled.
    public nonisolated(nonsending) func watch(prefix: String? = nil) async throws -> WatchEvents {
        var name: LockName?
        if let prefix { name = try LockName(argument: prefix) }
        let watch = try shell.get().makeWatch(prefix: name)
        try await watch.start()
        return WatchEvents(watch)
    }
}
