/// What happens to locks, in the order in which it happens.
///
/// One task goes over it, once: a second iterator takes what the first one does not. It ends when the task is cancelled that waits for the next event, when
/// nothing refers to it any more, and, with a ``LockdClientError``, when what answers at the socket is no lockd any more or does not let this process watch. What was
/// told and not taken by then is told first in that last case.
///
/// **When the daemon restarts** the watch goes on. The last events before that may then be told twice; if the next daemon does not remember the watch, it says so
/// by ``WatchEvent/missed(count:)`` without a number.
///
/// **Who does not keep up** slows nobody: some hundreds of events wait in this process, some more in the socket, and the daemon counts what comes on top of
/// that and says how much it was (``WatchEvent/missed(count:)``).
public struct WatchEvents: AsyncSequence, Sendable {
    /// An event.
    public typealias Element = WatchEvent

    /// Ends the watch with the last that refers to it.
    fileprivate final class Watch: Sendable {
        let shell: WatchShell

        init(_ shell: WatchShell) { self.shell = shell }

        deinit { shell.close() }
    }

    /// Goes over the events.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let watch: Watch

        /// The next event; `nil` behind the last.
        ///
        /// - Throws: ``LockdClientError``.
        public mutating func next() async throws -> WatchEvent? { try await watch.shell.next() }
    }

    private let watch: Watch

    init(_ shell: WatchShell) { watch = Watch(shell) }

    /// Goes over the events.
    public func makeAsyncIterator() -> Iterator { Iterator(watch: watch) }
}
