import LockdModel
import LockdWire

/// The rules of a client: what it asks of the daemon on behalf of many callers at once, and what the answers mean for each of them.
///
/// A plain value that performs no I/O and reads no clock: the same events at the same instants lead to the same actions.
///
/// Every request has one answer, ``ClientAction/complete(_:_:)``, and every lease that was granted to a caller one end,
/// ``ClientAction/endLease(_:_:)``, whatever happens. A lease that is granted to a caller who waits no longer is released.
struct ClientCore: Sendable {
    enum Connection: Equatable {
        /// There is none. Next: connecting, as soon as something is asked for; closed.
        case none
        /// It is being made; requests gather. Next: connected, none (it failed), closed.
        case connecting(ConnectionID)
        /// Next: none (it was lost), closing.
        case connected(ConnectionID)
        /// Everything has ended for the callers; the daemon is still to see it. Next: closed.
        case closing(ConnectionID, awaitedBy: [RequestID])
        /// For good.
        case closed
    }

    /// What the answer under a tag is for.
    enum Outstanding: Equatable {
        case hello
        case acquire(LockNames, timeToLive: Milliseconds?)
        /// What is granted is not this client's.
        case boundAcquire(LockNames)
        /// The caller has gone. If it is granted, it is released.
        case abandonedAcquire
        case release(FencingToken)
        case renew(FencingToken, sentAt: MonotonicInstant)
        /// The end, or the renewal, of a lease that is not this client's.
        case change(LockName, FencingToken)
        case history(LockName)
        case ping
        /// Whatever the answer is, nobody needs it.
        case unwanted
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

    /// How often a lease is renewed in the time of one ttl: three times, so a third of it passes from one renewal to the next.
    ///
    /// A renewal may then be late by two thirds of the ttl, because the machine is overloaded or this process was stopped, and the lease goes on. More often
    /// would win little (from a third to a quarter: a twelfth of the ttl) and cost every lease that is merely held more wake-ups.
    static let renewalsPerTimeToLive: Int64 = 3

    /// A line of this version has less than 16 KiB; the rest is room for later versions.
    private static let replyLineLimit = 64 * 1024

    /// For the messages of errors.
    let path: String

    private(set) var connection = Connection.none
    var outstanding: [RequestID: Outstanding] = [:]
    /// What was told so far of the deadlock that will be the answer to a request.
    var edges: [RequestID: [DeadlockEdge]] = [:]
    /// What was told so far of a history.
    var holds: [RequestID: [Hold]] = [:]
    var leases: [FencingToken: Lease] = [:]
    var output = OutputQueue()
    private var framer = LineFramer(limit: replyLineLimit)
    private var isClientDropped = false
    private var lastRequest: UInt64 = 0
    private var lastConnection: UInt64 = 0
    /// When ``ClientEvent/timePassed`` is next to be applied; `nil` if there is nothing to renew.
    ///
    /// Never later than the first renewal that is due. It may be earlier, if the lease it was set for has ended since: to find the right instant takes a
    /// look at every lease, so that is done when it is reached, not with every release.
    private(set) var nextRenewal: MonotonicInstant?

    init(path: String) { self.path = path }

    /// Whether the socket is full, so that ``ClientEvent/becameWritable(_:)`` is waited for.
    var awaitsWritability: Bool { output.isFull }

    /// Whether nothing can be asked for any more.
    var isClosed: Bool {
        switch connection {
        case .closing, .closed: true
        case .none, .connecting, .connected: false
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
            ask(.acquire(acquire), id, .acquire(acquire.names, timeToLive: acquire.timeToLive), &actions)
        case .boundAcquireRequested(let id, let acquire, let descriptor):
            ask(.acquire(acquire), id, .boundAcquire(acquire.names), with: descriptor, &actions)
        case .boundReleaseRequested(let id, let name, let token):
            ask(.release(name, token: token), id, .change(name, token), &actions)
        case .boundRenewRequested(let id, let name, let token, let timeToLive):
            ask(.renew(name, token: token, timeToLive: timeToLive), id, .change(name, token), &actions)
        case .historyRequested(let id, let name): ask(.history(name), id, .history(name), &actions)
        case .releaseRequested(let id, let token): release(id, token, &actions)
        case .pingRequested(let id): ask(.ping, id, .ping, &actions)
        case .closeRequested(let id): close(id, &actions)
        case .requestCancelled(let id): cancel(id, &actions)
        case .clientDropped: isClientDropped = true
        case .connected(let id): connected(id, &actions)
        case .received(let id, let bytes): receive(id, bytes, now, &actions)
        case .sent(let id, let count): if isCurrent(id) { sent(count, id, &actions) }
        case .sendFailed(let id): if isCurrent(id) { sendFailed(id, &actions) }
        case .becameWritable(let id): if isCurrent(id) { output.becameWritable() }
        case .ended(let id, let error): if isCurrent(id) { end(error, .connectionLost, &actions) }
        case .timePassed: renew(now)
        }
        closeIfUnused(&actions)
        flush(&actions)
        return actions
    }

    // MARK: Requests

    /// Sends `request` under a tag, connecting first if need be.
    private mutating func ask(
        _ request: Request,
        _ id: RequestID,
        _ purpose: Outstanding,
        with descriptor: Descriptor? = nil,
        _ actions: inout [ClientAction]
    ) {
        switch connection {
        case .none: connect(&actions)
        case .connecting, .connected: break
        case .closing, .closed: return actions.append(.complete(id, .failed(.closed)))
        }
        outstanding[id] = purpose
        write(request, id, with: descriptor)
    }

    private mutating func release(_ id: RequestID, _ token: FencingToken, _ actions: inout [ClientAction]) {
        // A lease that is not here has ended, and its holder knows how.
        guard var lease = leases[token] else { return actions.append(.complete(id, .done)) }
        let isFirst = lease.releasedFor.isEmpty
        lease.releasedFor.append(id)
        leases[token] = lease
        if isFirst { ask(.release(lease.names.first, token: token), id, .release(token), &actions) }
    }

    private mutating func cancel(_ id: RequestID, _ actions: inout [ClientAction]) {
        switch outstanding[id] {
        case .acquire, .boundAcquire:
            outstanding[id] = .abandonedAcquire
            edges[id] = nil
            send(.cancel(id.tag), .unwanted)
            actions.append(.complete(id, .cancelled))
        case .ping, .history:
            outstanding[id] = .unwanted
            holds[id] = nil
            actions.append(.complete(id, .cancelled))
        case .hello, .abandonedAcquire, .release, .renew, .change, .unwanted: break
        case nil: cancelClose(id, &actions)
        }
    }

    /// Sends a request of the client's own.
    mutating func send(_ request: Request, _ purpose: Outstanding) {
        let id = makeRequestID()
        outstanding[id] = purpose
        write(request, id)
    }

    private mutating func write(_ request: Request, _ id: RequestID, with descriptor: Descriptor? = nil) {
        output.append(with: descriptor) { RequestEncoder.encode(TaggedRequest(tag: id.tag, request), to: &$0) }
    }

    // MARK: Renewals

    private mutating func renew(_ now: MonotonicInstant) {
        guard let nextRenewal, nextRenewal <= now else { return }
        self.nextRenewal = nil
        var due: [FencingToken] = []
        for (token, lease) in leases {
            guard lease.releasedFor.isEmpty, case .due(let instant) = lease.renewal else { continue }
            if instant <= now { due.append(token) } else { renewNoLaterThan(instant) }
        }
        for token in due.sorted() {
            guard let name = leases[token]?.names.first else { continue }
            leases[token]?.renewal = .sent
            send(.renew(name, token: token, timeToLive: nil), .renew(token, sentAt: now))
        }
    }

    /// Plans the renewal of a lease that goes on for its ttl at least, counted from `instant`.
    mutating func planRenewal(of token: FencingToken, from instant: MonotonicInstant) {
        guard let timeToLive = leases[token]?.timeToLive else { return }
        let due = instant + Milliseconds(max(1, timeToLive.count / Self.renewalsPerTimeToLive))
        leases[token]?.renewal = .due(due)
        renewNoLaterThan(due)
    }

    private mutating func renewNoLaterThan(_ due: MonotonicInstant) {
        nextRenewal = min(nextRenewal ?? due, due)
    }

    // MARK: The connection

    private mutating func connect(_ actions: inout [ClientAction]) {
        lastConnection += 1
        let id = ConnectionID(value: lastConnection)
        connection = .connecting(id)
        output = OutputQueue()
        framer = LineFramer(limit: Self.replyLineLimit)
        actions.append(.connect(id))
        send(.hello(Request.Hello(client: ClientLibrary.text)), .hello)
    }

    private mutating func connected(_ id: ConnectionID, _ actions: inout [ClientAction]) {
        guard connection == .connecting(id) else { return actions.append(.shutDown(id)) }
        connection = .connected(id)
        output.open()
    }

    private mutating func sent(_ count: Int, _ id: ConnectionID, _ actions: inout [ClientAction]) {
        output.sent(count)
        if output.isFull { actions.append(.awaitWritability(id)) }
    }

    /// Nothing can be asked any more; what the daemon has said before can still be read, up to the end.
    private mutating func sendFailed(_ id: ConnectionID, _ actions: inout [ClientAction]) {
        output.breakOff()
        actions.append(.shutDown(id))
    }

    private mutating func receive(
        _ id: ConnectionID,
        _ bytes: [UInt8],
        _ now: MonotonicInstant,
        _ actions: inout [ClientAction]
    ) {
        guard connection == .connected(id) else { return }
        bytes.withUnsafeBytes { framer.append($0) }
        while connection == .connected(id), let line = nextLine() {
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

    /// Gives up a connection that is of no use, for everybody.
    mutating func breakOff(_ error: LockdClientError, _ actions: inout [ClientAction]) {
        guard case .connected(let id) = connection else { return }
        actions.append(.shutDown(id))
        end(error, .connectionLost, &actions)
    }

    /// Whether `id` is the connection that there is.
    private func isCurrent(_ id: ConnectionID) -> Bool {
        switch connection {
        case .connecting(id), .connected(id), .closing(id, _): true
        case .connecting, .connected, .closing, .none, .closed: false
        }
    }

    private mutating func end(
        _ error: LockdClientError,
        _ reason: LeaseLoss.Reason,
        _ actions: inout [ClientAction]
    ) {
        switch connection {
        case .none, .connecting, .connected: connection = .none
        case .closing(_, let waiting):
            connection = .closed
            for id in waiting { actions.append(.complete(id, .done)) }
        case .closed: break
        }
        output.breakOff()
        endEverything(error, reason, &actions)
    }

    /// Ends every lease, then answers every request.
    private mutating func endEverything(
        _ error: LockdClientError,
        _ reason: LeaseLoss.Reason,
        _ actions: inout [ClientAction]
    ) {
        for token in leases.keys.sorted() { endLease(token, .lost(reason), &actions) }
        for (id, purpose) in outstanding.sorted(by: { $0.key < $1.key }) {
            switch purpose {
            case .acquire(let names, _), .boundAcquire(let names):
                actions.append(.complete(id, .failed(error.about(names))))
            case .change(let name, _), .history(let name):
                actions.append(.complete(id, .failed(error.about(LockNames(name)))))
            case .ping: actions.append(.complete(id, .failed(error)))
            // Whoever releases has been answered with the end of the lease.
            case .hello, .abandonedAcquire, .release, .renew, .unwanted: break
            }
        }
        outstanding = [:]
        edges = [:]
        holds = [:]
        nextRenewal = nil
    }

    private mutating func flush(_ actions: inout [ClientAction]) {
        switch connection {
        case .connected(let id), .closing(let id, _):
            if let message = output.takeNext() { actions.append(.send(id, message)) }
        case .none, .connecting, .closed: break
        }
    }

    // MARK: The end

    private mutating func close(_ id: RequestID, _ actions: inout [ClientAction]) {
        switch connection {
        case .none, .connecting, .closed:
            connection = .closed
            endEverything(.closed, .closed, &actions)
            actions.append(.complete(id, .done))
        case .connected(let connectionID):
            endEverything(.closed, .closed, &actions)
            connection = .closing(connectionID, awaitedBy: [id])
            write(.quit, makeRequestID())
        case .closing(let connectionID, let waiting):
            connection = .closing(connectionID, awaitedBy: waiting + [id])
        }
    }

    /// Whoever closes in a hurry does not wait until the daemon has taken note.
    private mutating func cancelClose(_ id: RequestID, _ actions: inout [ClientAction]) {
        guard case .closing(let connectionID, let waiting) = connection, waiting.contains(id) else { return }
        connection = .closing(connectionID, awaitedBy: waiting.filter { $0 != id })
        actions.append(.complete(id, .done))
        actions.append(.shutDown(connectionID))
    }

    /// Ends the session of a client that nobody refers to, once none of its leases and requests is left.
    private mutating func closeIfUnused(_ actions: inout [ClientAction]) {
        guard isClientDropped, outstanding.isEmpty, leases.isEmpty else { return }
        switch connection {
        case .connected(let id):
            connection = .closing(id, awaitedBy: [])
            actions.append(.shutDown(id))
        case .none, .connecting, .closing, .closed: break
        }
    }
}
