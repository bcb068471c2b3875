import LockdModel
import LockdWire

/// Does what a ``ClientCore`` says, for all tasks of the process and the one thread that reads.
///
/// The calling task writes its request itself. One thread connects, reads, resumes whoever is answered, renews leases, and connects again; it sleeps in
/// poll() while there is nothing to do. It keeps the shell alive as long as there is a session.
final class ClientShell: Sendable {
    /// What a caller can be told.
    enum Answer: Sendable {
        case done
        case lease(Lease)
        case bound(BoundLease)
        case history([Hold])
        /// No answer yet, but how the wait goes.
        case progress(WaitProgress)
    }

    private typealias Continuation = CheckedContinuation<Answer, any Error>

    /// Who asked for something: it waits, or it looks at what it was told of its wait, and comes back for what has come meanwhile.
    private struct Caller: Sendable {
        var continuation: Continuation?
        /// The last one only: what is told is how it is.
        var progress: WaitProgress?
        var result: Result<Answer, any Error>?
    }

    private struct State: Sendable {
        var core: ClientCore
        var callers: [RequestID: Caller] = [:]
        var leases: [FencingToken: Lease] = [:]
        var transports: [ConnectionID: Transport] = [:]
        var reader: Reader?
    }

    /// The thread that reads.
    private struct Reader: Sendable {
        /// What is to be connected next.
        var attempt: ConnectionAttempt?
        /// There is none before the thread runs.
        var wakeUp: WakeUp?
        /// While it sleeps: until when, which may be for ever.
        var sleep: MonotonicInstant?
    }

    /// What is done after the lock was left.
    private enum Effect: Sendable {
        case startReader(ConnectionID)
        case send(Transport, ConnectionID, OutputQueue.Message)
        case ring(WakeUp)
        case shutDown(Transport)
        case resume(Continuation, Result<Answer, any Error>)
        case tell([Lease.Watcher], LeaseLoss?)
    }

    private let path: String
    private let connectTimeout: Milliseconds
    private let process: Int32
    private let state: Guarded<State>

    init(path: String, connectTimeout: Milliseconds = ConnectionAttempt.patience, process: Int32 = System.process) {
        self.path = path
        self.connectTimeout = connectTimeout
        self.process = process
        state = Guarded(State(core: ClientCore(path: path, seed: .random(in: .min ... .max))))
    }

    /// A session of its own that watches, and is not connected yet.
    func makeWatch(prefix: LockName?) throws(LockdClientError) -> WatchShell {
        guard isInOwnProcess else { throw .forked }
        if state.withLock({ $0.core.isClosed }) { throw .closed }
        return WatchShell(path: path, prefix: prefix, connectTimeout: connectTimeout, process: process)
    }

    /// Whether this is the process that made the client, and not a forked child of it.
    ///
    /// In a child nothing of the shell may be touched: the lock may have been held by a thread that does not exist there, and what is written to the socket
    /// would be the parent's words.
    var isInOwnProcess: Bool { System.process == process }

    /// Asks the core by an event, and returns when it is answered; calls `report` with what comes of the wait before, never afterwards.
    ///
    /// - Throws: ``LockdClientError``, or `CancellationError` if the task was cancelled before the answer came. What ends something is done all the same.
    @discardableResult
    nonisolated(nonsending) func ask(
        _ event: (RequestID) -> ClientEvent,
        _ report: (WaitProgress) -> Void = { _ in }
    ) async throws -> Answer {
        let id = try makeRequestID()
        var answer = try await begin(event(id), id)
        while case .progress(let progress) = answer {
            report(progress)
            answer = try await goOn(id)
        }
        return answer
    }

    /// A number for one further request.
    func makeRequestID() throws -> RequestID {
        guard isInOwnProcess else { throw LockdClientError.forked }
        return state.withLock { $0.core.makeRequestID() }
    }

    /// Asks the core by an event, and returns what comes of it first.
    nonisolated(nonsending) func begin(_ event: ClientEvent, _ id: RequestID) async throws -> Answer {
        guard isInOwnProcess else { throw LockdClientError.forked }
        return try await wait(for: id) { begin(event, id, $0) }
    }

    /// Returns what comes next of a request that was not answered yet.
    nonisolated(nonsending) func goOn(_ id: RequestID) async throws -> Answer {
        guard isInOwnProcess else { throw LockdClientError.forked }
        return try await wait(for: id) { goOn(id, $0) }
    }

    /// Sees to it that nothing comes of a request that was not answered yet, and for which nobody waits any more.
    func abandon(_ id: RequestID) {
        guard isInOwnProcess else { return }
        modifyStateAndRunActions { state in
            guard let caller = state.callers.removeValue(forKey: id) else { return [] }
            guard case .success(.lease(let lease)) = caller.result else {
                return effects(of: .requestCancelled(id), &state)
            }
            // It was granted, and nobody has seen that.
            return effects(of: .releaseRequested(state.core.makeRequestID(), FencingToken(lease.token)), &state)
        }
    }

    private nonisolated(nonsending) func wait(
        for id: RequestID,
        _ begin: (Continuation) -> Void
    ) async throws -> Answer {
        let answer = try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { begin($0) }
        } onCancel: {
            if isInOwnProcess { apply(.requestCancelled(id)) }
        }
        state.seeChanges()
        return answer
    }

    private func begin(_ event: ClientEvent, _ id: RequestID, _ continuation: Continuation) {
        modifyStateAndRunActions { state in
            // A cancellation that is not seen here finds the request when it comes: both are under the lock.
            let isCancelled = Task.isCancelled
            if isCancelled, !event.endsSomething { return [.resume(continuation, .failure(CancellationError()))] }
            state.callers[id] = Caller(continuation: continuation)
            var effects = effects(of: event, &state)
            if isCancelled { effects += self.effects(of: .requestCancelled(id), &state) }
            return effects
        }
    }

    /// The caller comes back from looking at what it was told.
    private func goOn(_ id: RequestID, _ continuation: Continuation) {
        modifyStateAndRunActions { state in
            guard var caller = state.callers[id] else { preconditionFailure("request \(id.value) was answered twice") }
            if let result = caller.result {
                state.callers[id] = nil
                return [.resume(continuation, result)]
            }
            if let progress = caller.progress.take() {
                state.callers[id] = caller
                return [.resume(continuation, .success(.progress(progress)))]
            }
            caller.continuation = continuation
            state.callers[id] = caller
            return []
        }
    }

    func apply(_ event: ClientEvent) {
        modifyStateAndRunActions { effects(of: event, &$0) }
    }

    // MARK: The one door

    /// Changes the state, and then, without the lock, does what follows from that.
    private func modifyStateAndRunActions(_ modify: (inout State) -> [Effect]) {
        var effects = state.withLock { modify(&$0) }
        while !effects.isEmpty {
            for effect in exchange(&effects, with: []) {
                guard let news = perform(effect) else { continue }
                effects += state.withLock { self.effects(of: news, &$0) }
            }
        }
    }

    /// Applies an event, and looks up what the actions speak of.
    private func effects(of event: ClientEvent, _ state: inout State) -> [Effect] {
        let actions = state.core.apply(event, at: .now())
        let effects = actions.compactMap { effect(of: $0, &state) }
        guard let wakeUp = disturb(&state) else { return effects }
        return effects + [.ring(wakeUp)]
    }

    /// What ends the sleep of the reader, if that has something to do before it would wake up.
    private func disturb(_ state: inout State) -> WakeUp? {
        guard let sleep = state.reader?.sleep else { return nil }
        let isDisturbed =
            state.reader?.attempt != nil || state.core.isOver || state.core.nextInstant ?? .distantFuture < sleep
        guard isDisturbed else { return nil }
        state.reader?.sleep = nil
        return state.reader?.wakeUp
    }

    private func effect(of action: ClientAction, _ state: inout State) -> Effect? {
        switch action {
        case .connect(let id): attempt(ConnectionAttempt(id: id, timeout: connectTimeout), &state)
        case .reconnect(let id): attempt(ConnectionAttempt(id: id, timeout: nil), &state)
        case .send(let id, let message): state.transports[id].map { .send($0, id, message) }
        case .awaitWritability: state.reader?.wakeUp.map { .ring($0) }
        case .shutDown(let id): state.transports[id].map { .shutDown($0) }
        case .report(let id, let progress): report(progress, to: id, &state)
        case .complete(let id, let completion): complete(id, completion, &state)
        case .endLease(let token, let ending):
            // What the lease says of itself changes under the lock, before anybody is answered.
            state.leases.removeValue(forKey: token).map { .tell($0.end(ending), $0.loss) }
        }
    }

    private func attempt(_ attempt: ConnectionAttempt, _ state: inout State) -> Effect? {
        if state.reader != nil {
            state.reader?.attempt = attempt
            return nil
        }
        state.reader = Reader(attempt: attempt)
        return .startReader(attempt.id)
    }

    private func report(_ progress: WaitProgress, to id: RequestID, _ state: inout State) -> Effect? {
        guard let continuation = state.callers[id]?.continuation.take() else {
            state.callers[id]?.progress = progress
            return nil
        }
        return .resume(continuation, .success(.progress(progress)))
    }

    private func complete(_ id: RequestID, _ completion: ClientAction.Completion, _ state: inout State) -> Effect? {
        guard let caller = state.callers[id] else { return nil }
        let result = result(of: completion, &state)
        guard let continuation = caller.continuation else {
            state.callers[id]?.result = result
            return nil
        }
        state.callers[id] = nil
        return .resume(continuation, result)
    }

    private func result(of completion: ClientAction.Completion, _ state: inout State) -> Result<Answer, any Error> {
        switch completion {
        case .granted(let names, let token, let predecessor):
            let previous = AbandonedLease(predecessor)
            let lease = Lease(names: names.strings, token: token, previous: previous, shell: self)
            state.leases[token] = lease
            return .success(.lease(lease))
        case .bound(let names, let token, let predecessor):
            let previous = AbandonedLease(predecessor)
            return .success(.bound(BoundLease(names: names.strings, token: token.value, previous: previous)))
        case .history(let leases): return .success(.history(leases))
        case .done: return .success(.done)
        case .cancelled: return .failure(CancellationError())
        case .failed(let error): return .failure(error)
        }
    }

    /// Does one thing; returns the news of it, if the core has to know.
    private func perform(_ effect: Effect) -> ClientEvent? {
        switch effect {
        case .startReader(let id): return startReader(id)
        case .send(let transport, let id, let message):
            guard let count = transport.send(message) else { return .sendFailed(id) }
            return .sent(id, byteCount: count)
        case .ring(let wakeUp): wakeUp.ring()
        case .shutDown(let transport): transport.shutDown()
        case .resume(let continuation, let result): continuation.resume(with: result)
        case .tell(let watchers, let loss): for watcher in watchers { watcher.resume(returning: loss) }
        }
        return nil
    }

    // MARK: The reader

    private func startReader(_ id: ConnectionID) -> ClientEvent? {
        let number = ReaderThread.start { self.read() }
        if number == 0 { return nil }
        state.withLock { $0.reader = nil }
        return .ended(id, .noThread(number))
    }

    private enum Step {
        case connect(ConnectionAttempt)
        case sleep(until: MonotonicInstant?)
        /// There is no session any more.
        case end
    }

    private func read() {
        let wakeUp: WakeUp
        do throws(ConnectFailure) {
            wakeUp = try WakeUp(for: path)
        } catch {
            let attempt = state.withLock { $0.reader.take()?.attempt }
            if let attempt { apply(.ended(attempt.id, .daemonUnavailable(error))) }
            return
        }
        state.withLock { $0.reader?.wakeUp = wakeUp }
        while true {
            switch state.withLock({ Self.nextStep(&$0) }) {
            case .connect(let attempt): connect(attempt, wakeUp)
            case .sleep(let deadline):
                wakeUp.sleep(until: deadline)
                awake(deadline)
            case .end: return
            }
        }
    }

    private static func nextStep(_ state: inout State) -> Step {
        if let attempt = state.reader?.attempt.take() { return .connect(attempt) }
        if state.core.isOver {
            state.reader = nil
            return .end
        }
        return .sleep(until: goToSleep(&state))
    }

    /// Takes note that the reader sleeps, and returns until when.
    private static func goToSleep(_ state: inout State) -> MonotonicInstant? {
        let deadline = state.core.nextInstant
        state.reader?.sleep = deadline ?? .distantFuture
        return deadline
    }

    /// The reader slept, until `deadline` at the most.
    private func awake(_ deadline: MonotonicInstant?) {
        state.withLock { $0.reader?.sleep = nil }
        if let deadline, deadline <= .now() { apply(.timePassed) }
    }

    private func connect(_ attempt: ConnectionAttempt, _ wakeUp: WakeUp) {
        do throws(ConnectFailure) {
            let id = attempt.id
            let transport = try Transport(path: path, timeout: attempt.timeout)
            modifyStateAndRunActions { state in
                state.transports[id] = transport
                return effects(of: .connected(id), &state)
            }
            let problem = readToTheEnd(id, transport, wakeUp)
            modifyStateAndRunActions { state in
                state.transports[id] = nil
                return effects(of: .ended(id, .connectionLost(path, problem)), &state)
            }
        } catch {
            apply(.ended(attempt.id, .daemonUnavailable(error)))
        }
    }

    /// Returns why there is nothing more to read.
    private func readToTheEnd(_ id: ConnectionID, _ transport: Transport, _ wakeUp: WakeUp) -> String {
        while true {
            let (deadline, isFull) = state.withLock { (Self.goToSleep(&$0), $0.core.awaitsWritability) }
            let readiness = transport.wait(isFull: isFull, until: deadline, wakeUp)
            if readiness.isWritable { apply(.becameWritable(id)) }
            if readiness.isReadable {
                switch transport.receive() {
                case .bytes(let bytes): apply(.received(id, bytes))
                case .nothing: break
                case .end(let problem): return problem
                }
            }
            awake(deadline)
        }
    }
}

extension ClientEvent {
    /// Whether a cancelled task may still ask for it: what was begun has to be ended.
    fileprivate var endsSomething: Bool {
        switch self {
        case .releaseRequested, .boundReleaseRequested, .closeRequested: true
        case .acquireRequested, .boundAcquireRequested, .boundRenewRequested, .historyRequested, .pingRequested,
            .requestCancelled, .clientDropped, .connected, .received, .sent,
            .sendFailed, .becameWritable, .ended, .timePassed:
            false
        }
    }
}
