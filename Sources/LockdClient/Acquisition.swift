import LockdModel
import LockdWire

/// How a request for a lock goes, and at its end the lease: what ``LockdClient/acquiring(_:_:every:mode:waitTimeout:maxQueue:ttl:owner:note:)`` returns.
///
/// The request is made when the first step is asked for, and each iteration makes one of its own. It ends with ``Step/granted(_:)``, or by an error: those of
/// ``LockdClient/acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``. Between two steps the wait goes on; what changes meanwhile is told once, as it is when
/// the next step is asked for.
///
/// **Who leaves the loop before the lease is granted** waits no longer: the request ends, and a grant that was on its way is given back. A lease that was handed
/// out is the caller's to release.
public struct Acquisition: AsyncSequence, Sendable {
    /// What happens to a request.
    public enum Step: Sendable {
        /// It waits, and that is how.
        case waiting(WaitProgress)
        /// The lock is held; the last step.
        case granted(Lease)
    }

    /// A step.
    public typealias Element = Step

    /// The request of one iteration.
    private final class Wait: Sendable {
        private enum State {
            case none
            case waiting(RequestID)
            /// It is over, or being waited for.
            case taken
        }

        /// A client that nobody refers to ends its session.
        private let client: LockdClient
        private let shell: ClientShell
        private let terms: AcquireTerms
        private let state = Guarded(State.none)

        init(_ client: LockdClient, _ shell: ClientShell, _ terms: AcquireTerms) {
            self.client = client
            self.shell = shell
            self.terms = terms
        }

        deinit {
            // In a forked child the lock may be held for ever, by a thread that does not exist there.
            guard shell.isInOwnProcess else { return }
            if case .waiting(let id) = state.withLock({ $0 }) { shell.abandon(id) }
        }

        nonisolated(nonsending) func next() async throws -> Step? {
            let answer: ClientShell.Answer
            let id: RequestID
            switch state.withLock({ exchange(&$0, with: .taken) }) {
            case .taken: return nil
            case .none:
                id = try shell.makeRequestID()
                answer = try await shell.begin(.acquireRequested(id, terms), id)
            case .waiting(let begun):
                id = begun
                answer = try await shell.goOn(id)
            }
            switch answer {
            case .progress(let progress):
                state.withLock { $0 = .waiting(id) }
                return .waiting(progress)
            case .lease(let lease): return .granted(lease)
            case .done, .bound, .history: preconditionFailure("the answer to an acquire was \(answer)")
            }
        }
    }

    /// Goes over the steps of one request.
    ///
    /// One task asks for the next step at a time.
    public struct Iterator: AsyncIteratorProtocol {
        private let wait: Wait

        fileprivate init(_ client: LockdClient, _ shell: ClientShell, _ terms: AcquireTerms) {
            wait = Wait(client, shell, terms)
        }

        /// The next step, as soon as there is one; `nil` behind the last.
        ///
        /// - Throws: ``LockdClientError``; `CancellationError` if the task was cancelled, which ends the wait.
        public mutating func next() async throws -> Step? { try await wait.next() }
    }

    private let client: LockdClient
    private let shell: ClientShell
    private let terms: AcquireTerms

    init(_ client: LockdClient, _ shell: ClientShell, _ terms: AcquireTerms) {
        self.client = client
        self.shell = shell
        self.terms = terms
    }

    /// Goes over the steps of a request of its own.
    public func makeAsyncIterator() -> Iterator { Iterator(client, shell, terms) }
}

extension LockdClient {
    /// Acquires the lock `name`, or several at once, and tells step by step how the wait goes.
    ///
    /// ```swift
    /// for try await step in try client.acquiring("db", every: .seconds(1)) {
    ///     switch step {
    ///     case .waiting(let progress): print("place \(progress.position) of \(progress.waiterCount)")
    ///     case .granted(let lease): try await useDatabase(lease)
    ///     }
    /// }
    /// ```
    ///
    /// The parameters are those of ``acquire(_:_:mode:waitTimeout:maxQueue:ttl:owner:note:progress:)``, and `interval`, 100 milliseconds to 366 days, is the least
    /// time between two reports of the wait.
    ///
    /// - Throws: ``LockdClientError`` if an argument is out of its range. What comes of the request, the sequence throws.
    public func acquiring(
        _ name: String,
        _ others: String...,
        every interval: Duration,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil
    ) throws -> Acquisition {
        try acquiring(
            [name] + others,
            every: interval,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note
        )
    }

    /// The same, for names that are found out at run time.
    public func acquiring(
        _ names: [String],
        every interval: Duration,
        mode: LeaseMode = .exclusive,
        waitTimeout: Duration? = nil,
        maxQueue: Int? = nil,
        ttl: Duration? = nil,
        owner: String? = nil,
        note: String? = nil
    ) throws -> Acquisition {
        let terms = try AcquireTerms(
            names,
            mode: mode,
            waitTimeout: waitTimeout,
            maxQueue: maxQueue,
            ttl: ttl,
            owner: owner,
            note: note,
            progress: interval
        )
        return Acquisition(self, try shell.get(), terms)
    }
}
