import LockdModel
import LockdWire

/// The rules of a client: what it asks of the daemon on behalf of many callers at once, and what the answers mean for each of them.
///
/// A plain value that performs no I/O and reads no clock: the same events at the same instants lead to the same actions.
///
/// Every request has one answer, ``ClientAction/complete(_:_:)``, and every lease that was granted to a caller one end,
/// ``ClientAction/endLease(_:_:)``, whatever happens. A lease that is granted to a caller who waits no longer is released.
///
/// **A connection is not the session.** When it ends, the session is kept: leases stay, requests stay, and the session is resumed on the next connection.
/// Nothing but a greeting is said on a connection before the daemon has said its number of the session; otherwise there could be one that holds something
/// and that nobody can resume.
struct ClientCore: Sendable {
    enum Connection: Equatable {
        /// There is none, nor a session. Next: connecting, as soon as something is asked for; closed.
        case none
        /// It is being made; requests gather. Next: greeting, none or detached (it failed), closed.
        case connecting(ConnectionID)
        /// The daemon is still to say which session this is; requests gather. Next: resuming, connected, none or detached (it was lost), closing, closed.
        case greeting(ConnectionID)
        /// The session is the one before; what the daemon had not sent is read, and requests gather. Next: connected, detached, closing, none (it was given up).
        case resuming(ConnectionID)
        /// Next: detached (it was lost), closing, none (it was given up), closed.
        case connected(ConnectionID)
        /// There is none, but a session. Next: connecting, at that instant, or without one when something is asked for; closed.
        case detached(retryAt: MonotonicInstant?)
        /// Everything has ended for the callers; the daemon is still to see it. Next: closed; detached (it was lost before).
        case closing(ConnectionID)
        /// For good.
        case closed
    }

    struct Lease: Equatable {
        enum Renewal: Equatable {
            /// There is no ttl.
            case never
            /// Next: sent.
            case due(MonotonicInstant)
            /// Next: due.
            case sent
        }

        let names: LockNames
        var timeToLive: Milliseconds?
        var renewal: Renewal
        /// Who waits for its end; if anybody, it is being released.
        var releasedFor: [RequestID] = []
    }

    /// How long somebody who asks for something that the daemon would answer at once waits for a daemon that has ended to come back.
    ///
    /// A daemon that is restarted is back within a fraction of that, so that nobody notices; one that was stopped is noticed before a person loses patience.
    static let patience = Milliseconds.seconds(2)

    /// For the messages of errors.
    let path: String

    var connection = Connection.none
    /// What the daemon calls this client's session, from its first word on.
    var session: SessionID?
    var outstanding: [RequestID: Outstanding] = [:]
    /// What was told so far of the deadlock that will be the answer to a request.
    var edges: [RequestID: [DeadlockEdge]] = [:]
    /// What was told so far of a history.
    var holds: [RequestID: [Hold]] = [:]
    var leases: [FencingToken: Lease] = [:]
    var output = OutputQueue()
    var framer = ClientCore.makeFramer()
    var backoff: Backoff
    /// Since when requests are sent on the connection.
    var connectedAt: MonotonicInstant?
    /// Since when there is no connection on which requests are sent, although there is a session, and why.
    var absence: Absence?
    /// Who has asked to close; `nil` if nobody has.
    var closers: [RequestID]?
    /// Until when they wait for a daemon that is not there.
    var closersGiveUp: MonotonicInstant?
    /// Whether the session would go on to hold something if the daemon does not hear of its end.
    var owesQuit = false
    private var isClientDropped = false
    private var lastRequest: UInt64 = 0
    var lastConnection: UInt64 = 0
    /// When the first lease is to be renewed; `nil` if there is nothing to renew.
    ///
    /// Never later than the first renewal that is due. It may be earlier, if the lease it was set for has ended since: to find the right instant takes a
    /// look at every lease, so that is done when it is reached, not with every release.
    var nextRenewal: MonotonicInstant?

    init(path: String, seed: UInt64 = 1) {
        self.path = path
        backoff = Backoff(seed: seed)
    }

    /// A line of this version has less than 16 KiB; the rest is room for later versions.
    static func makeFramer() -> LineFramer { LineFramer(limit: 64 * 1024) }

    /// Whether the socket is full, so that ``ClientEvent/becameWritable(_:)`` is waited for.
    var awaitsWritability: Bool { output.isFull }

    /// Whether nothing can be asked for any more.
    var isClosed: Bool { closers != nil || connection == .closed }

    /// Whether the daemon has said which session this is, so that nothing but what it says changes when something is to be done next.
    var isHeardOut: Bool {
        switch connection {
        case .connected, .closing: true
        case .none, .connecting, .greeting, .resuming, .detached, .closed: false
        }
    }

    /// Whether the daemon is asked to end the session, and has not said that it has.
    var isClosing: Bool { if case .closing = connection { true } else { false } }

    /// Whether there is no session, so that nothing can happen before something is asked for.
    var isOver: Bool { connection == .none || connection == .closed }

    /// When ``ClientEvent/timePassed`` is next to be applied; `nil` if nothing is waited for.
    var nextInstant: MonotonicInstant? {
        switch connection {
        case .none, .closed, .closing: nil
        case .connected: nextRenewal
        case .detached(let retryAt): [retryAt, absence?.nextGiveUp, closersGiveUp].compactMap(\.self).min()
        case .connecting, .greeting, .resuming: [absence?.nextGiveUp, closersGiveUp].compactMap(\.self).min()
        }
    }

    /// A number for one further request.
    mutating func makeRequestID() -> RequestID {
        lastRequest += 1
        return RequestID(lastRequest)
    }

    /// Records that `event` happened at `now`, and returns what is to be done about it, in that order.
    ///
    /// Requests are numbered by ``makeRequestID()``, each number is used once.
    mutating func apply(_ event: ClientEvent, at now: MonotonicInstant) -> [ClientAction] {
        var actions: [ClientAction] = []
        switch event {
        case .acquireRequested(let id, let acquire):
            ask(.acquire(acquire), id, .acquire(acquire.names, timeToLive: acquire.timeToLive), now, &actions)
        case .boundAcquireRequested(let id, let acquire, let descriptor):
            ask(.acquire(acquire), id, .boundAcquire(acquire.names), with: descriptor, now, &actions)
        case .boundReleaseRequested(let id, let name, let token):
            ask(.release(name, token: token), id, .change(name, token, ends: true), now, &actions)
        case .boundRenewRequested(let id, let name, let token, let timeToLive):
            let request = Request.renew(name, token: token, timeToLive: timeToLive)
            ask(request, id, .change(name, token, ends: false), now, &actions)
        case .historyRequested(let id, let name): ask(.history(name), id, .history(name), now, &actions)
        case .releaseRequested(let id, let token): release(id, token, now, &actions)
        case .pingRequested(let id): ask(.ping, id, .ping, now, &actions)
        case .closeRequested(let id): close(id, now, &actions)
        case .requestCancelled(let id): cancel(id, now, &actions)
        case .clientDropped: isClientDropped = true
        case .connected(let id): connected(id, &actions)
        case .received(let id, let bytes): receive(id, bytes, now, &actions)
        case .sent(let id, let count): if isCurrent(id) { sent(count, id, &actions) }
        case .sendFailed(let id): if isCurrent(id) { sendFailed(id, &actions) }
        case .becameWritable(let id): if isCurrent(id) { output.becameWritable() }
        case .ended(let id, let error): if isCurrent(id) { ended(error, now, &actions) }
        case .timePassed: timePassed(now, &actions)
        }
        closeIfUnused(&actions)
        flush(&actions)
        return actions
    }

    // MARK: Requests

    /// Sends `request` under a tag as soon as there is a connection, and makes one if need be.
    private mutating func ask(
        _ request: Request,
        _ id: RequestID,
        _ purpose: Outstanding.Purpose,
        with descriptor: Descriptor? = nil,
        _ now: MonotonicInstant,
        _ actions: inout [ClientAction]
    ) {
        if isClosed { return actions.append(.complete(id, .failed(.closed))) }
        add(request, id, purpose, with: descriptor, now)
        switch connection {
        case .none: connect(now, &actions)
        case .detached(retryAt: nil):
            backoff.reset()
            retry(now, &actions)
        case .detached, .connecting, .greeting, .resuming, .connected, .closing, .closed: break
        }
    }

    /// Sends a request of the client's own, as soon as there is a connection.
    mutating func send(_ request: Request, _ purpose: Outstanding.Purpose, _ now: MonotonicInstant) {
        add(request, makeRequestID(), purpose, now)
    }

    private mutating func add(
        _ request: Request,
        _ id: RequestID,
        _ purpose: Outstanding.Purpose,
        with descriptor: Descriptor? = nil,
        _ now: MonotonicInstant
    ) {
        let request = Outstanding(purpose: purpose, request: request, descriptor: descriptor, askedAt: now)
        outstanding[id] = request
        if case .connected = connection {
            write(id, now)
        } else {
            absence?.consider(request)
        }
    }

    /// Writes an outstanding request, perhaps not for the first time.
    mutating func write(_ id: RequestID, _ now: MonotonicInstant) {
        guard var request = outstanding[id] else { return }
        request.isRepeated = request.isSent
        request.isSent = true
        outstanding[id] = request
        output.append(with: request.descriptor) {
            RequestEncoder.encode(TaggedRequest(tag: id.tag, request.request(at: now)), to: &$0)
        }
    }

    private mutating func release(
        _ id: RequestID,
        _ token: FencingToken,
        _ now: MonotonicInstant,
        _ actions: inout [ClientAction]
    ) {
        // A lease that is not here has ended, and its holder knows how.
        guard var lease = leases[token] else { return actions.append(.complete(id, .done)) }
        let isFirst = lease.releasedFor.isEmpty
        lease.releasedFor.append(id)
        leases[token] = lease
        if isFirst { ask(.release(lease.names.first, token: token), id, .release(token), now, &actions) }
    }

    private mutating func cancel(_ id: RequestID, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        guard let request = outstanding[id] else { return cancelClose(id, &actions) }
        switch request.purpose {
        case .acquire, .boundAcquire:
            abandon(id, nil, now)
            actions.append(.complete(id, .cancelled))
        case .ping, .history:
            forget(id)
            actions.append(.complete(id, .cancelled))
        case .hello, .barrier, .over, .cancel, .release, .renew, .change, .unwanted: break
        }
    }

    /// Sees to it that nothing comes of an ACQUIRE that nobody waits for any more, except the lease `token`, if that was granted to the caller.
    mutating func abandon(_ id: RequestID, _ token: FencingToken?, _ now: MonotonicInstant) {
        edges[id] = nil
        guard outstanding[id]?.isSent == true else {
            outstanding[id] = nil
            return
        }
        outstanding[id]?.purpose = .over(token)
        // Without a connection, that is said on the next one.
        if case .connected = connection { send(.cancel(id.tag), .cancel(id), now) }
    }

    /// Drops a request of which nobody needs the answer.
    mutating func forget(_ id: RequestID) {
        outstanding[id] = nil
        edges[id] = nil
        holds[id] = nil
    }

    // MARK: The end

    private mutating func close(_ id: RequestID, _ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        if connection == .closed { return actions.append(.complete(id, .done)) }
        if closers == nil {
            owesQuit = !leases.isEmpty || outstanding.values.contains { $0.isSent && !$0.endsWithConnection }
            let greeting = outstanding.filter { $0.value.purpose == .hello }
            endEverything(.closed, .closed, &actions)
            outstanding = greeting
            closers = []
            if case .connecting = connection, session == nil { owesQuit = false }
        }
        closers?.append(id)
        closersGiveUp = absence == nil ? nil : now + Self.patience
        sayGoodbye(now, &actions)
    }

    /// Ends the session, now or as soon as there is a connection.
    private mutating func sayGoodbye(_ now: MonotonicInstant, _ actions: inout [ClientAction]) {
        switch connection {
        case .connected(let id), .resuming(let id): quit(id)
        case .greeting(let id):
            if !owesQuit { closed(id, &actions) }
        case .none, .connecting, .detached:
            if !owesQuit { closed(nil, &actions) }
        case .closing, .closed: break
        }
    }

    /// Asks the daemon to end the session.
    mutating func quit(_ id: ConnectionID) {
        connection = .closing(id)
        let tag = makeRequestID().tag
        output.append { RequestEncoder.encode(TaggedRequest(tag: tag, .quit), to: &$0) }
    }

    /// There is nothing more to be done.
    mutating func closed(_ id: ConnectionID?, _ actions: inout [ClientAction]) {
        connection = .closed
        output.breakOff()
        outstanding = [:]
        absence = nil
        for closer in closers ?? [] { actions.append(.complete(closer, .done)) }
        closers = nil
        if let id { actions.append(.shutDown(id)) }
    }

    /// Whoever closes in a hurry does not wait until the daemon has taken note.
    private mutating func cancelClose(_ id: RequestID, _ actions: inout [ClientAction]) {
        guard let waiting = closers, waiting.contains(id) else { return }
        closers = waiting.filter { $0 != id }
        actions.append(.complete(id, .done))
        if case .closing(let connectionID) = connection { actions.append(.shutDown(connectionID)) }
    }

    /// Ends the session of a client that nobody refers to, once none of its leases and requests is left.
    private mutating func closeIfUnused(_ actions: inout [ClientAction]) {
        guard isClientDropped, closers == nil, outstanding.isEmpty, leases.isEmpty else { return }
        switch connection {
        case .connected(let id): closed(id, &actions)
        case .detached: closed(nil, &actions)
        case .none, .connecting, .greeting, .resuming, .closing, .closed: break
        }
    }
}
