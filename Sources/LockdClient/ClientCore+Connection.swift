import LockdModel
import LockdWire

/// The connection: how it is made, lost and given up.
extension ClientCore {
    /// Makes the first connection of a session, or the next one.
    mutating func connect(_ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        lastConnection += 1
        let id = ConnectionID(value: lastConnection)
        connection = .connecting(id)
        output = OutputQueue()
        framer = Self.makeFramer()
        actions.append(session == nil ? .connect(id) : .reconnect(id))
        say(.hello(Request.Hello(client: ClientLibrary.text, resume: session)), .hello, now)
    }

    /// Connects again, at once or after a while.
    mutating func retry(_ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        let delay = backoff.next()
        if delay.count == 0 { return connect(now, &actions) }
        connection = .detached(retryAt: now + delay)
    }

    mutating func connected(_ id: ConnectionID, _ actions: inout [ClientAction]) {
        guard connection == .connecting(id) else { return actions.append(.shutDown(id)) }
        connection = .greeting(id)
        output.open()
    }

    mutating func sent(_ count: Int, _ id: ConnectionID, _ actions: inout [ClientAction]) {
        output.sent(count)
        if output.isFull { actions.append(.awaitWritability(id)) }
    }

    /// Nothing can be asked any more; what the daemon has said before can still be read, up to the end.
    mutating func sendFailed(_ id: ConnectionID, _ actions: inout [ClientAction]) {
        output.breakOff()
        actions.append(.shutDown(id))
    }

    mutating func receive(
        _ id: ConnectionID,
        _ bytes: [UInt8],
        _ now: MonotonicInstant,
        _ actions: inout [ClientAction]
    ) {
        guard isHeard(id) else { return }
        bytes.withUnsafeBytes { framer.append($0) }
        while isHeard(id), let line = nextLine() {
            switch line {
            case .success(let reply?): apply(reply, now, &actions)
            // An event that this version does not know.
            case .success(nil): break
            case .failure(let problem): breakOff(.incompatibleDaemon(path, "\(problem)"), &actions)
            }
        }
    }

    private mutating func nextLine() -> Result<TaggedReply?, MalformedReply>? {
        framer.nextLine { line in
            switch line {
            case .complete(let bytes), .tooLong(let bytes):
                Result { () throws(MalformedReply) in try ReplyDecoder.decode(bytes) }
            }
        }
    }

    /// Whether `id` is the connection that there is, or is being made.
    func isCurrent(_ id: ConnectionID) -> Bool { connection == .connecting(id) || isHeard(id) }

    /// Whether `id` is the connection that there is.
    private func isHeard(_ id: ConnectionID) -> Bool {
        switch connection {
        case .greeting(id), .resuming(id), .connected(id), .closing(id): true
        case .none, .connecting, .greeting, .resuming, .connected, .detached, .closing, .closed: false
        }
    }

    mutating func flush(_ actions: inout [ClientAction]) {
        switch connection {
        case .greeting(let id), .resuming(let id), .connected(let id), .closing(let id):
            if let message = output.takeNext() { actions.append(.send(id, message)) }
        case .none, .connecting, .detached, .closed: break
        }
    }

    // MARK: Its end

    /// The connection is over, or could not be made.
    mutating func ended(_ error: LockdClientError, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        switch connection {
        case .closing where !owesQuit: closed(nil, &actions)
        case .connecting, .greeting, .resuming, .connected, .closing:
            if session == nil { giveUpSession(error, &actions) } else { detach(error, now, &actions) }
        case .none, .detached, .closed: break
        }
    }

    /// The session goes on without a connection.
    mutating func detach(_ error: LockdClientError, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        output.breakOff()
        outstanding = outstanding.filter { !$0.value.endsWithConnection }
        // Those that were told in part are asked for again as a whole.
        edges = [:]
        holds = [:]
        // A daemon that ends this session again and again, because of what it asks for, is not asked without a pause.
        if let since = connectedAt.take(), since + Backoff.longest <= now { backoff.reset() }
        if absence == nil {
            absence = Absence(since: now, error)
            absence?.considerOnly(outstanding.values)
            closersGiveUp = closers == nil ? nil : now + Self.patience
        } else {
            absence?.problem = error
        }
        connection = .detached(retryAt: nil)
        if isInUse { retry(now, &actions) }
    }

    /// Whether somebody needs the session; if not, it is resumed when something is asked for.
    var isInUse: Bool { closers != nil || !leases.isEmpty || !outstanding.isEmpty }

    /// Gives up a connection that is of no use, and its session, for everybody.
    mutating func breakOff(_ error: LockdClientError, _ actions: inout [ClientAction]) {
        switch connection {
        case .greeting(let id), .resuming(let id), .connected(let id), .closing(let id):
            actions.append(.shutDown(id))
            giveUpSession(error, &actions)
        case .none, .connecting, .detached, .closed: break
        }
    }

    private mutating func giveUpSession(_ error: LockdClientError, _ actions: inout [ClientAction]) {
        connection = .none
        session = nil
        absence = nil
        output.breakOff()
        endEverything(error, .connectionLost, &actions)
        if closers != nil { closed(nil, &actions) }
    }

    /// Ends every lease, then answers every request.
    mutating func endEverything(
        _ error: LockdClientError,
        _ reason: LeaseLoss.Reason,
        _ actions: inout [ClientAction]
    ) {
        for token in leases.keys.sorted() { endLease(token, .lost(reason), &actions) }
        for (id, request) in outstanding.sorted(by: { $0.key < $1.key }) {
            switch request.purpose {
            case .acquire(let names, _), .boundAcquire(let names):
                actions.append(.complete(id, .failed(error.about(names))))
            case .change(let name, _, _), .history(let name):
                actions.append(.complete(id, .failed(error.about(LockNames(name)))))
            case .ping: actions.append(.complete(id, .failed(error)))
            // Whoever releases has been answered with the end of the lease.
            case .hello, .barrier, .over, .cancel, .release, .renew, .unwanted: break
            }
        }
        outstanding = [:]
        edges = [:]
        holds = [:]
        nextRenewal = nil
    }

    // MARK: Time

    mutating func timePassed(_ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        if case .connected = connection { renew(now) }
        if let instant = absence?.nextGiveUp, instant <= now { giveUp(now, &actions) }
        if let instant = closersGiveUp, instant <= now {
            // The daemon hears of it when it is back.
            for closer in closers ?? [] { actions.append(.complete(closer, .done)) }
            closers = []
            closersGiveUp = nil
        }
        if case .detached(retryAt: let instant?) = connection, instant <= now {
            if isInUse { connect(now, &actions) } else { connection = .detached(retryAt: nil) }
        }
    }

    /// Answers those who wait for the daemon no longer.
    private mutating func giveUp(_ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        guard let absence else { return }
        for (id, request) in outstanding.sorted(by: { $0.key < $1.key }) {
            guard let instant = request.givesUp(since: absence.since), instant <= now else { continue }
            let error = LockdClientError.absent(path, absence.problem)
            switch request.purpose {
            case .acquire(let names, _), .boundAcquire(let names):
                let waited = request.waitTimeout.map { _ in now - request.askedAt }
                abandon(id, nil, now)
                actions.append(.complete(id, .failed(error.about(names, waited: waited))))
            case .change(let name, _, _), .history(let name):
                forget(id)
                actions.append(.complete(id, .failed(error.about(LockNames(name)))))
            case .ping:
                forget(id)
                actions.append(.complete(id, .failed(error)))
            case .hello, .barrier, .over, .cancel, .release, .renew, .unwanted: break
            }
        }
        self.absence?.considerOnly(outstanding.values)
    }
}
