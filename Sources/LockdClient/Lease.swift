import LockdModel

/// The right to a lock, or to several at once, from its grant until it is released or lost.
///
/// A lease lasts until ``release()``, until it is lost, until its client is closed, or until the process ends, whichever comes first. It outlives the daemon. That nothing refers to
/// the object any more does **not** end it: Swift may let go of an object after its last use, which is often long before the work under the lease is done.
///
/// May be used from any task and thread. In a forked child it is lost.
public final class Lease: Sendable, CustomStringConvertible {
    typealias Watcher = CheckedContinuation<LeaseLoss?, Never>

    private struct State: Sendable {
        var ending: ClientAction.LeaseEnding?
        var watchers: [UInt64: Watcher] = [:]
        var lastWatcher: UInt64 = 0
    }

    /// The names of the locks, in the order in which they were asked for.
    ///
    /// They are held together, and released or lost together.
    public let names: [String]

    /// The first of ``names``.
    public var name: String { names[0] }

    /// The number that orders grants: larger than that of every lease granted before, by whatever daemon on this machine.
    ///
    /// A resource that remembers the largest token it has seen, and refuses smaller ones, is safe from a holder that does not know yet that it lost its
    /// lease. Tokens begin at the wall clock's microseconds, so they fit a signed 64-bit column of a database.
    public let token: UInt64

    /// The lease before this one, if its holder did not release it: what it was doing may be half done.
    public let previous: AbandonedLease?

    private let shell: ClientShell
    private let state = Guarded(State())

    init(names: [String], token: FencingToken, previous: AbandonedLease?, shell: ClientShell) {
        self.previous = previous
        self.names = names
        self.token = token.value
        self.shell = shell
    }

    /// Ends the lease; the next waiter is granted the lock before this returns.
    ///
    /// It waits for the daemon to say so, whether the task is cancelled or not, and for a daemon to be there, however long that takes. To release a lease again does nothing.
    ///
    /// - Throws: ``LockdClientError`` with the code ``LockdClientError/Code/leaseLost`` if the lease was lost before, or may have been.
    public nonisolated(nonsending) func release() async throws {
        _ = try await shell.ask { .releaseRequested($0, FencingToken(token)) }
        if let loss { throw LockdClientError.leaseLost(loss) }
    }

    /// Whether the lease was lost, as far as this process knows.
    ///
    /// That it is `false` says nothing about the next moment: a resource that must never see two holders has to compare tokens.
    public var isLost: Bool { !shell.isInOwnProcess || state.withLock { $0.ending?.loss != nil } }

    /// Waits until the lease is lost, and says how; `nil` if it was released instead, or if the task that waits is cancelled.
    ///
    /// The loss is told before the lock is granted to the next holder.
    public nonisolated(nonsending) func lost() async -> LeaseLoss? {
        guard shell.isInOwnProcess else { return loss }
        let id = state.withLock { state in
            state.lastWatcher += 1
            return state.lastWatcher
        }
        let loss = await withTaskCancellationHandler {
            await withCheckedContinuation { watch(id, $0) }
        } onCancel: {
            if shell.isInOwnProcess { state.withLock { $0.watchers.removeValue(forKey: id) }?.resume(returning: nil) }
        }
        state.seeChanges()
        return loss
    }

    /// The names and the token.
    public var description: String { "\(names.map(Sentence.quotable).joined(separator: ", ")) (token \(token))" }

    /// How the lease was lost, if it was.
    var loss: LeaseLoss? {
        // The lock may be held for ever in a forked child, by a thread that it does not have.
        guard shell.isInOwnProcess else { return LeaseLoss(.forked, lockNames: names, token: token) }
        return state.withLock { $0.ending?.loss }
    }

    /// Records the end, and returns who waits for it.
    func end(_ ending: ClientAction.LeaseEnding) -> [Watcher] {
        state.withLock { state in
            state.ending = ending
            return exchange(&state.watchers, with: [:]).sorted { $0.key < $1.key }.map(\.value)
        }
    }

    private func watch(_ id: UInt64, _ watcher: Watcher) {
        let isOver = state.withLock { state in
            // A cancellation that is not seen here finds the watcher when it comes: both are under the lock.
            if state.ending != nil || Task.isCancelled { return true }
            state.watchers[id] = watcher
            return false
        }
        if isOver { watcher.resume(returning: loss) }
    }
}

extension ClientAction.LeaseEnding {
    /// How the lease was lost, if it was.
    var loss: LeaseLoss? {
        switch self {
        case .released: nil
        case .lost(let loss): loss
        }
    }
}
