import LockdModel
import LockdWire

/// What happens and has happened to locks.
extension LockdClient {
    /// The last leases on the lock `name` that have ended, the latest first.
    ///
    /// The daemon remembers 16 of a name at the most, and forgets all of them when it ends. Everybody who may connect may look.
    ///
    /// - Throws: ``LockdClientError``; `CancellationError` if the task was cancelled.
    public nonisolated(nonsending) func history(of name: String) async throws -> [PastLease] {
        let lockName = try LockName(argument: name)
        let answer = try await shell.get().ask { .historyRequested($0, lockName) }
        guard case .history(let leases) = answer else { preconditionFailure("the history of \(name) is none") }
        return leases
    }
}
