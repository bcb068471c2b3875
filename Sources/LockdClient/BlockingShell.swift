import LockdModel
import LockdWire

/// Does what a ``ClientCore`` says, on the threads of those who ask.
///
/// There is no thread that reads. Among those who wait one is the *leader*: it connects, reads, and hands out the answers; the others sleep until they are answered or
/// become leader. So whoever is alone writes its request and reads the reply by itself, in one system call each. What is to be done while nobody waits, as renewals are, a *keeper* does: a
/// thread that is there only as long as there is something like that.
final class BlockingShell: Sendable {
    /// What a caller can be told.
    enum Answer: Sendable {
        case done
        case lease(BlockingLease)
        case bound(BoundLease)
        case history([Hold])
        /// To whoever waits for the end of a lease: how it was lost, or that it was released.
        case ended(LeaseLoss?)
    }

    /// A thread that has asked for something.
    struct Caller: Sendable {
        var result: Result<Answer, any Error>?
        /// The last one only: what is told is how it is.
        var progress: WaitProgress?
        /// There is one as soon as it has to sleep while another one leads.
        var sleeper: Sleeper?
    }

    struct Keeper: Sendable {
        let sleeper = Sleeper()
        /// While it sleeps: until when.
        var sleep: MonotonicInstant?
    }

    struct State: Sendable {
        var core: ClientCore
        var callers: [RequestID: Caller] = [:]
        /// Who waits for the end of a lease.
        var watchers: [FencingToken: [RequestID]] = [:]
        var leases: [FencingToken: BlockingLease] = [:]
        /// What is to be connected next.
        var attempt: ConnectionAttempt?
        var connection: (id: ConnectionID, transport: Transport)?
        /// The caller who leads; the keeper, and one who only looks, lead by a number of their own.
        var leader: RequestID?
        /// While the leader sleeps: until when, which may be for ever.
        var leaderSleep: MonotonicInstant?
        /// There is none before the first connection.
        var wakeUp: WakeUp?
        var keeper: Keeper?
    }

    /// What is done after the lock was left.
    enum Effect: Sendable {
        case send(Transport, ConnectionID, OutputQueue.Message)
        case ring(WakeUp)
        case wake(Sleeper)
        case shutDown(Transport)
        case startKeeper
    }

    /// What the leader does next.
    enum Step {
        case connect(ConnectionAttempt)
        /// Wait for what arrives, and for nothing else. That is one system call; what may have to wake it up otherwise takes two.
        case receive((id: ConnectionID, transport: Transport))
        /// Wait for what arrives, if there is a connection.
        case await((id: ConnectionID, transport: Transport)?, isFull: Bool, until: MonotonicInstant?, WakeUp)
    }

    /// What a caller does next.
    private enum Turn {
        case finish(Result<Answer, any Error>)
        case report(WaitProgress)
        case lead(Step)
        /// Wait until the socket, which is full, takes bytes again: the leader may be waiting for nothing but what arrives.
        case awaitRoom(ConnectionID, Transport)
        case sleep(Sleeper)
        /// It waits no longer.
        case leave
    }

    private let path: String
    private let process: Int32
    let state: Guarded<State>

    init(path: String, process: Int32 = System.process) {
        self.path = path
        self.process = process
        state = Guarded(State(core: ClientCore(path: path, seed: .random(in: .min ... .max))))
    }

    /// Whether this is the process that made the client, and not a forked child of it, in which nothing of the shell may be touched.
    var isInOwnProcess: Bool { System.process == process }

    // MARK: For callers

    /// Asks the core by an event, and returns when it is answered; calls `report` with what comes of the wait before.
    ///
    /// - Throws: ``LockdClientError``.
    @discardableResult
    func ask(_ event: (RequestID) -> ClientEvent, _ report: (WaitProgress) -> Void = { _ in }) throws -> Answer {
        guard isInOwnProcess else { throw LockdClientError.forked }
        guard let result = wait(begin(event), until: nil, report) else {
            preconditionFailure("who waits for ever has left without an answer")
        }
        return try result.get()
    }

    /// Ends everything; returns when the daemon has taken note, or ``ClientCore/patience`` has passed.
    func close() {
        guard isInOwnProcess else { return }
        let id = begin { .closeRequested($0) }
        // The connection ends then, and with it the sleep of whoever reads.
        if wait(id, until: .now() + ClientCore.patience) == nil { apply(.requestCancelled(id)) }
    }

    private func begin(_ event: (RequestID) -> ClientEvent) -> RequestID {
        let (id, effects) = state.withLock { state in
            let id = state.core.makeRequestID()
            state.callers[id] = Caller()
            return (id, self.effects(of: event(id), &state))
        }
        run(effects)
        return id
    }

    /// Waits until the lease is over, or until `deadline`; returns how it was lost.
    func awaitEnd(of lease: BlockingLease, until deadline: MonotonicInstant?) -> LeaseLoss? {
        // Also if the time is up already.
        look()
        let token = FencingToken(lease.token)
        let id = state.withLock { state -> RequestID? in
            guard state.leases[token] != nil else { return nil }
            let id = state.core.makeRequestID()
            state.callers[id] = Caller()
            state.watchers[token, default: []].append(id)
            return id
        }
        // Nobody asked for anything that could fail.
        guard let id, case .success(.ended(let loss))? = wait(id, until: deadline) else {
            state.withLock { state in state.watchers[token]?.removeAll { $0 == id } }
            return lease.recordedLoss
        }
        return loss
    }

    /// Takes in what has arrived, unless somebody is about to.
    ///
    /// Does not block.
    func look() {
        let claim = state.withLock { state -> (RequestID, (id: ConnectionID, transport: Transport))? in
            guard state.leader == nil, let connection = state.connection else { return nil }
            let id = state.core.makeRequestID()
            state.leader = id
            return (id, connection)
        }
        guard let (id, connection) = claim else { return }
        var looks = Self.looks
        while looks > 0, receive(from: connection) { looks -= 1 }
        change { self.passOn(from: id, &$0) }
    }

    /// How many times as much as one read takes is looked at, at most: four times what a socket holds by default.
    private static let looks = 64

    /// Nobody refers to the client any more.
    func drop() { change { self.effects(of: .clientDropped, &$0) + self.passOn(from: nil, &$0) } }

    private func wait(
        _ id: RequestID,
        until deadline: MonotonicInstant?,
        _ report: (WaitProgress) -> Void = { _ in }
    ) -> Result<Answer, any Error>? {
        while true {
            let (turn, effects) = state.withLock { self.turn(of: id, until: deadline, &$0) }
            run(effects)
            switch turn {
            case .finish(let result): return result
            case .leave: return nil
            case .report(let progress):
                report(progress)
                // It may have forked, and this be the child.
                guard isInOwnProcess else { return .failure(LockdClientError.forked) }
            case .lead(let step): perform(step)
            case .awaitRoom(let id, let transport):
                transport.awaitRoom(until: deadline)
                apply(.becameWritable(id))
            case .sleep(let sleeper): sleeper.sleep(until: deadline)
            }
        }
    }

    private func turn(of id: RequestID, until deadline: MonotonicInstant?, _ state: inout State) -> (Turn, [Effect]) {
        guard var caller = state.callers[id] else { preconditionFailure("\(id) was answered twice") }
        if let result = caller.result {
            state.callers[id] = nil
            return (.finish(result), passOn(from: id, &state))
        }
        if let progress = caller.progress.take() {
            // It does not sleep while it looks at that, so nobody is to think that it could lead.
            caller.sleeper = nil
            state.callers[id] = caller
            return (.report(progress), passOn(from: id, &state))
        }
        if let deadline, deadline <= .now() {
            state.callers[id] = nil
            return (.leave, passOn(from: id, &state))
        }
        if state.leader == nil || state.leader == id {
            state.leader = id
            return (.lead(nextStep(until: deadline, &state)), [])
        }
        if state.core.awaitsWritability, let connection = state.connection {
            // It does not sleep until it is woken, so nobody is to think that it could lead.
            caller.sleeper = nil
            state.callers[id] = caller
            return (.awaitRoom(connection.id, connection.transport), [])
        }
        let sleeper = caller.sleeper ?? Sleeper()
        caller.sleeper = sleeper
        state.callers[id] = caller
        return (.sleep(sleeper), [])
    }

    // MARK: The leader

    func nextStep(until deadline: MonotonicInstant?, _ state: inout State) -> Step {
        if let attempt = state.attempt.take() { return .connect(attempt) }
        guard let wakeUp = state.wakeUp else { preconditionFailure("somebody waits, and nobody has tried to connect") }
        let next = [state.core.nextInstant, deadline].compactMap(\.self).min()
        // While the session is still to be named or resumed, what others ask for may set a time to give up.
        let isForAnswersOnly = next == nil && state.core.isHeardOut && !state.core.awaitsWritability
        if isForAnswersOnly, let connection = state.connection { return .receive(connection) }
        state.leaderSleep = next ?? .distantFuture
        return .await(state.connection, isFull: state.core.awaitsWritability, until: next, wakeUp)
    }

    func perform(_ step: Step) {
        switch step {
        case .connect(let attempt): connect(attempt)
        case .receive(let connection): receive(from: connection, waits: true)
        case .await(let connection, let isFull, let deadline, let wakeUp):
            let readiness = connection?.transport.wait(isFull: isFull, until: deadline, wakeUp)
            if readiness == nil { wakeUp.sleep(until: deadline) }
            state.withLock { $0.leaderSleep = nil }
            if let connection, let readiness {
                if readiness.isWritable { apply(.becameWritable(connection.id)) }
                if readiness.isReadable { receive(from: connection) }
            }
            if let deadline, deadline <= .now() { apply(.timePassed) }
        }
    }

    private func connect(_ attempt: ConnectionAttempt) {
        do throws(ConnectFailure) {
            if state.withLock({ $0.wakeUp == nil }) {
                let wakeUp = try WakeUp(for: path)
                state.withLock { $0.wakeUp = wakeUp }
            }
            let transport = try Transport(path: path, timeout: attempt.timeout)
            change { state in
                state.connection = (attempt.id, transport)
                return self.effects(of: .connected(attempt.id), &state)
            }
        } catch {
            apply(.ended(attempt.id, .daemonUnavailable(error)))
        }
    }

    /// Returns whether something has arrived.
    @discardableResult
    private func receive(from connection: (id: ConnectionID, transport: Transport), waits: Bool = false) -> Bool {
        switch connection.transport.receive(waits: waits) {
        case .bytes(let bytes):
            apply(.received(connection.id, bytes))
            return true
        case .nothing: break
        case .end(let problem):
            change { state in
                if state.connection?.id == connection.id { state.connection = nil }
                return self.effects(of: .ended(connection.id, .connectionLost(path, problem)), &state)
            }
        }
        return false
    }

    /// Lets another one lead, if `id` does, or nobody; returns how it hears of that.
    func passOn(from id: RequestID?, _ state: inout State) -> [Effect] {
        if let leader = state.leader {
            guard leader == id else { return [] }
            state.leader = nil
        }
        if let next = Self.nextLeader(state) { return [.wake(next)] }
        return callKeeper(&state)
    }

    /// One of those who sleep until somebody else has read their answer.
    static func nextLeader(_ state: State) -> Sleeper? {
        for caller in state.callers.values where caller.result == nil {
            if let sleeper = caller.sleeper { return sleeper }
        }
        return nil
    }

    // MARK: The one door

    private func apply(_ event: ClientEvent) { change { self.effects(of: event, &$0) } }

    /// Changes the state, and then, without the lock, does what follows from that.
    func change(_ change: (inout State) -> [Effect]) {
        run(state.withLock { change(&$0) })
    }

    private func run(_ effects: [Effect]) {
        var effects = effects
        while !effects.isEmpty {
            for effect in exchange(&effects, with: []) {
                guard let news = perform(effect) else { continue }
                effects += state.withLock { self.effects(of: news, &$0) }
            }
        }
    }

    /// Applies an event, and looks up what the actions speak of.
    func effects(of event: ClientEvent, _ state: inout State) -> [Effect] {
        var effects: [Effect] = []
        for action in state.core.apply(event, at: .now()) { effects += self.effects(of: action, &state) }
        // Nobody will read what is left of it.
        if state.core.isOver { state.connection = nil }
        if let wakeUp = disturb(&state) { effects.append(.ring(wakeUp)) }
        return effects
    }

    /// What ends the sleep of the leader, if that has something to do before it would wake up.
    private func disturb(_ state: inout State) -> WakeUp? {
        guard let sleep = state.leaderSleep, let wakeUp = state.wakeUp else { return nil }
        let isDisturbed =
            state.attempt != nil || state.core.isOver || state.core.nextInstant ?? .distantFuture < sleep
        guard isDisturbed else { return nil }
        state.leaderSleep = nil
        return wakeUp
    }

    private func effects(of action: ClientAction, _ state: inout State) -> [Effect] {
        switch action {
        case .connect(let id): state.attempt = ConnectionAttempt(id: id, timeout: ConnectionAttempt.patience)
        case .reconnect(let id): state.attempt = ConnectionAttempt(id: id, timeout: nil)
        case .send(let id, let message):
            if let connection = state.connection, connection.id == id {
                return [.send(connection.transport, id, message)]
            }
        case .awaitWritability: if let wakeUp = state.wakeUp { return [.ring(wakeUp)] }
        case .shutDown(let id):
            if let connection = state.connection, connection.id == id { return [.shutDown(connection.transport)] }
        case .report(let id, let progress):
            state.callers[id]?.progress = progress
            return wake(id, &state)
        case .complete(let id, let completion): return complete(id, result(of: completion, &state), &state)
        case .endLease(let token, let ending):
            // What the lease says of itself changes under the lock, before anybody is answered.
            guard let lease = state.leases.removeValue(forKey: token) else { break }
            lease.end(ending)
            let watchers = state.watchers.removeValue(forKey: token) ?? []
            return watchers.flatMap { complete($0, .success(.ended(lease.recordedLoss)), &state) }
        }
        return []
    }

    private func complete(_ id: RequestID, _ result: Result<Answer, any Error>, _ state: inout State) -> [Effect] {
        state.callers[id]?.result = result
        return wake(id, &state)
    }

    private func wake(_ id: RequestID, _ state: inout State) -> [Effect] {
        if state.leader == id, state.leaderSleep.take() != nil { return state.wakeUp.map { [.ring($0)] } ?? [] }
        return state.callers[id]?.sleeper.map { [.wake($0)] } ?? []
    }

    private func result(of completion: ClientAction.Completion, _ state: inout State) -> Result<Answer, any Error> {
        switch completion {
        case .granted(let names, let token, let predecessor):
            let previous = AbandonedLease(predecessor)
            let lease = BlockingLease(names: names.strings, token: token, previous: previous, shell: self)
            state.leases[token] = lease
            return .success(.lease(lease))
        case .bound(let names, let token, let predecessor):
            let previous = AbandonedLease(predecessor)
            return .success(.bound(BoundLease(names: names.strings, token: token.value, previous: previous)))
        case .history(let leases): return .success(.history(leases))
        case .done: return .success(.done)
        case .cancelled: preconditionFailure("a thread was told that it was cancelled, as only tasks are")
        case .failed(let error): return .failure(error)
        }
    }

    /// Does one thing; returns the news of it, if the core has to know.
    private func perform(_ effect: Effect) -> ClientEvent? {
        switch effect {
        case .send(let transport, let id, let message):
            guard let count = transport.send(message) else { return .sendFailed(id) }
            return .sent(id, byteCount: count)
        case .ring(let wakeUp): wakeUp.ring()
        case .wake(let sleeper): sleeper.wake()
        case .shutDown(let transport): transport.shutDown()
        // Without a further thread, what it was to do is done by whoever asks for something next.
        case .startKeeper: if ReaderThread.start({ self.keep() }) != 0 { state.withLock { $0.keeper = nil } }
        }
        return nil
    }
}
