import LockdModel

/// One session that watches: a thread that reads what the daemon says, as long as there is room for it, and the tasks that take it from here.
///
/// When the buffer is full the thread stops reading, so that it is the daemon that counts what is not taken, and says so.
final class WatchShell: Sendable {
    private typealias Taker = CheckedContinuation<WatchEvent?, any Error>

    private enum End: Sendable {
        /// Whoever watched has gone.
        case closed
        /// Not yet told to anybody.
        case failed(LockdClientError)
    }

    private struct State: Sendable {
        var core: WatchCore
        var transport: Transport?
        var wakeUp: WakeUp?
        var starter: CheckedContinuation<Void, any Error>?
        /// From `first` on: events that nobody has taken yet.
        var events: [WatchEvent] = []
        var first = 0
        var takers: [UInt64: Taker] = [:]
        var lastTaker: UInt64 = 0
        var end: End?

        var count: Int { events.count - first }
    }

    /// How many events may wait to be taken before the thread stops reading.
    ///
    /// What a read brings is added as a whole, so there may be those of 16 KiB more.
    private static let bufferLimit = 256

    private let path: String
    private let connectTimeout: Milliseconds
    private let process: Int32
    private let state: Guarded<State>

    init(path: String, prefix: LockName?, connectTimeout: Milliseconds, process: Int32) {
        self.path = path
        self.connectTimeout = connectTimeout
        self.process = process
        state = Guarded(State(core: WatchCore(path: path, prefix: prefix, seed: .random(in: .min ... .max))))
    }

    private var isInOwnProcess: Bool { System.process == process }

    // MARK: For tasks

    /// Connects, and returns when the daemon has taken note.
    nonisolated(nonsending) func start() async throws {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { starter in
                let isCancelled = state.withLock { state in
                    if state.end == nil { state.starter = starter }
                    return state.end != nil
                }
                if isCancelled { return starter.resume(throwing: CancellationError()) }
                let number = ReaderThread.start { self.run() }
                if number != 0 { finish(.failed(.noThread(number))) }
            }
        } onCancel: {
            if isInOwnProcess { finish(.closed) }
        }
    }

    /// The next event; `nil` behind the last, or if the task is cancelled, which ends the watch.
    nonisolated(nonsending) func next() async throws -> WatchEvent? {
        guard isInOwnProcess else { throw LockdClientError.forked }
        let id = state.withLock { state in
            state.lastTaker += 1
            return state.lastTaker
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { take(id, $0) }
        } onCancel: {
            if isInOwnProcess { finish(.closed) }
        }
    }

    /// Ends the watch, unless it has ended.
    func close() {
        if isInOwnProcess { finish(.closed) }
    }

    private func take(_ id: UInt64, _ taker: Taker) {
        let (result, wakeUp) = state.withLock { state -> (Result<WatchEvent?, any Error>?, WakeUp?) in
            if state.count > 0 {
                let event = state.events[state.first]
                state.first += 1
                // Moving no more events than were taken keeps the work linear.
                if state.first * 2 >= state.events.count {
                    state.events.removeSubrange(..<state.first)
                    state.first = 0
                }
                return (.success(event), state.count == Self.bufferLimit - 1 ? state.wakeUp : nil)
            }
            switch state.end {
            case nil:
                state.takers[id] = taker
                return (nil, nil)
            case .closed: return (.success(nil), nil)
            case .failed(let error):
                state.end = .closed
                return (.failure(error), nil)
            }
        }
        // There is room again.
        wakeUp?.ring()
        if let result { taker.resume(with: result) }
    }

    private func finish(_ end: End) {
        let (transport, wakeUp, starter, takers) = state.withLock { state in
            guard state.end == nil else {
                return (nil as Transport?, nil as WakeUp?, nil as CheckedContinuation<Void, any Error>?, [] as [Taker])
            }
            state.end = end
            let takers = exchange(&state.takers, with: [:]).sorted { $0.key < $1.key }.map(\.value)
            let starter = state.starter.take()
            if case .failed = end, starter != nil || !takers.isEmpty { state.end = .closed }
            if case .closed = end { (state.events, state.first) = ([], 0) }
            return (state.transport.take(), state.wakeUp, starter, takers)
        }
        transport?.shutDown()
        wakeUp?.ring()
        switch end {
        case .closed:
            starter?.resume(throwing: CancellationError())
            for taker in takers { taker.resume(returning: nil) }
        case .failed(let error):
            starter?.resume(throwing: error)
            takers.first?.resume(throwing: error)
            for taker in takers.dropFirst() { taker.resume(returning: nil) }
        }
    }

    // MARK: For the thread

    private func run() {
        do throws(ConnectFailure) {
            let wakeUp = try WakeUp(for: path)
            state.withLock { $0.wakeUp = wakeUp }
            while state.withLock({ $0.end == nil }) {
                switch connection(wakeUp) {
                case .failed(let error): finish(.failed(error))
                case .retry(let delay): sleep(until: .now() + delay, wakeUp)
                }
            }
        } catch {
            finish(.failed(.daemonUnavailable(error)))
        }
    }

    /// One connection from its beginning to its end; returns what comes after it.
    private func connection(_ wakeUp: WakeUp) -> WatchCore.Sequel {
        let isResuming = state.withLock { $0.core.isResuming }
        do throws(ConnectFailure) {
            let transport = try Transport(path: path, timeout: isResuming ? nil : connectTimeout)
            let greeting = state.withLock { state in
                if state.end == nil { state.transport = transport }
                return state.core.greeting
            }
            // So few bytes fit into any socket, and the end of one that takes none is seen when it is read.
            _ = transport.send(OutputQueue.Message(bytes: greeting))
            let problem = readToTheEnd(transport, wakeUp)
            return state.withLock { state in
                state.transport = nil
                return state.core.ended(.connectionLost(path, problem))
            }
        } catch {
            return state.withLock { $0.core.ended(.daemonUnavailable(error)) }
        }
    }

    /// Returns why there is nothing more to read.
    private func readToTheEnd(_ transport: Transport, _ wakeUp: WakeUp) -> String {
        while true {
            let (hasRoom, isOver) = state.withLock { ($0.count < Self.bufferLimit, $0.end != nil) }
            if isOver { return "it is not needed any more" }
            guard transport.wait(reads: hasRoom, isFull: false, until: nil, wakeUp).isReadable else { continue }
            switch transport.receive() {
            case .bytes(let bytes):
                for signal in state.withLock({ $0.core.receive(bytes) }) { perform(signal, transport) }
            case .nothing: break
            case .end(let problem): return problem
            }
        }
    }

    /// Sleeps, unless the watch is over before.
    private func sleep(until instant: MonotonicInstant, _ wakeUp: WakeUp) {
        while instant > .now(), state.withLock({ $0.end == nil }) { wakeUp.sleep(until: instant) }
    }

    private func perform(_ signal: WatchCore.Signal, _ transport: Transport) {
        switch signal {
        case .send(let bytes): _ = transport.send(OutputQueue.Message(bytes: bytes))
        case .shutDown: transport.shutDown()
        case .started: state.withLock { $0.starter.take() }?.resume()
        case .event(let event):
            let taker = state.withLock { state -> Taker? in
                guard state.end == nil else { return nil }
                if let first = state.takers.keys.min() { return state.takers.removeValue(forKey: first) }
                state.events.append(event)
                return nil
            }
            taker?.resume(returning: event)
        case .failed(let error): finish(.failed(error))
        }
    }
}
