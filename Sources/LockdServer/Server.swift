import CLinux
import Glibc
import LockdCore
public import LockdModel
import LockdWire
public import Logging

/// The daemon: one thread that reads all ready sessions, applies what they ask for, and writes once to each that has something to be told.
///
/// ``run()`` occupies the calling thread until ``stop()``. Everything else belongs to that thread.
public final class Server {
    let configuration: ServerConfiguration
    let logger: Logger
    let clock: () -> MonotonicInstant
    private let locks: [InstanceLock]
    let listener: Listener
    let epoll: Epoll
    let wakeUp: CInt
    // Only the loop's thread comes here, and the service calls nothing of the server's but to flush a connection.
    @exclusivity(unchecked) var service: LockService
    let connections: ConnectionTable
    private let descriptorLimit: Int
    var sessionLimit: Int
    var supervision: Supervision
    let loose: LooseDescriptors
    /// What leases and waits are bound to.
    let bounds: BoundTable
    let binder: DescriptorBinder

    /// Kept from turn to turn for its memory.
    private var sessionsToWrite: [Session] = []
    var isStopped = false
    /// The listener is left alone until then, because descriptors have run out.
    var acceptsAgainAt: MonotonicInstant?
    /// An accepted connection that waits for a second descriptor, that of its process.
    var halfAccepted: (socket: CInt, id: SessionID)?
    /// Where descriptors are kept for the next daemon, if anybody does that.
    private(set) var bag: DescriptorBag?
    var watchedBarrier: CInt?
    var hasWarnedOfDescriptors = false
    var hasWarnedOfSessionLimit = false
    /// What the next daemon will know; nothing if there is to be none that goes on.
    let log: WriteAheadLog?
    private let receiver: Receiver
    let losses: LossQueue
    /// How many bytes are read from a session that ends: more than a socket buffer holds by default.
    static let inputAtEnd = 256 * 1024
    /// What the names begin with under which a ``DescriptorStore`` is asked to keep something.
    public static let keptNamePrefix = DescriptorBag.namePrefix
    /// How many connections are accepted in one turn.
    static let acceptsPerTurn = 64
    /// While there are deadlines, the log says that the daemon is there when an eighth of the time to the next has passed, but no more often than this.
    private static let leastLifeSignNanoseconds: Int64 = 1_000_000_000
    /// How long the listener is left alone when descriptors have run out and none is given back.
    static let acceptPause = Milliseconds(1000)

    /// Takes the locks, reserves the first tokens, and listens.
    ///
    /// Nobody is served before ``run()``.
    ///
    /// - Parameters:
    ///   - store: keeps connections for the next daemon; without one they end with this daemon.
    ///   - kept: what the store has kept for this daemon, whose it becomes.
    ///   - supervisor: who is told how the server is doing, from ``run()`` on.
    ///   - clock: read once for each turn; CLOCK_MONOTONIC, unless a test says otherwise.
    /// - Throws: ``SystemError`` and errors that say in their description what stands in the way and what to do.
    public init(
        configuration: ServerConfiguration,
        logger: Logger,
        store: (any DescriptorStore)? = nil,
        kept: [(name: String, descriptor: CInt)] = [],
        supervisor: (any Supervisor)? = nil,
        clock: (() -> MonotonicInstant)? = nil
    ) throws {
        self.configuration = configuration
        self.logger = logger
        self.clock = clock ?? MonotonicInstant.now
        // Before anything is touched, so that of two daemons that start at once only one goes on.
        locks = try Self.lockedPaths(configuration).map { try InstanceLock(path: $0) }
        let left = try Leftovers.read(configuration, bags: kept, at: self.clock(), logger)
        let tokens = try Self.reserveTokens(in: configuration.stateDirectory, after: left.contents, logger)
        // The soft limit of descriptors becomes the hard one first.
        descriptorLimit = Int(clamping: clinux_raise_descriptor_limit())
        let budget = DescriptorBudget(
            descriptorLimit: descriptorLimit,
            sessionLimit: configuration.limits.sessions
        )
        supervision = Supervision(supervisor, exitWhenIdle: configuration.exitWhenIdle)
        sessionLimit = budget.sessions
        loose = LooseDescriptors(limit: budget.loose)
        var limits = configuration.limits
        limits.sessions = sessionLimit
        limits.daemonUser = UserID(geteuid())
        let connections = ConnectionTable()
        self.connections = connections
        epoll = try Epoll()
        bounds = BoundTable(limit: budget.bound, epoll: epoll, loose: loose)
        binder = DescriptorBinder(connections, bounds, loose, limits: limits)
        log = try configuration.keepsLog ? left.makeLog() : nil
        receiver = Receiver(log)
        let losses = LossQueue()
        self.losses = losses
        let now = self.clock()
        service = LockService(
            identity: Self.identity(configuration.version),
            limits: limits,
            tokens: tokens.reserver,
            at: now,
            flush: { losses.append($0) },
            record: { logger.notice("revoked", metadata: $0.metadata) },
            flushWatcher: {
                losses.write(to: connections)
                connections[$0]?.writeOutput()
            },
            binder: binder,
            log: log,
            logProblem: { what, why in logger.log(level: .error, "\(what)", metadata: ["error": "\(why)"]) },
            table: left.table(limits: limits, tokens: tokens.block, at: now, logger)
        )
        wakeUp = try check("eventfd") { eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK)) }
        listener =
            try configuration.listeningDescriptor.map { Listener(adopting: $0) }
            ?? Listener(path: configuration.socketPath, mode: configuration.socketMode)
        try epoll.add(listener.descriptor, .input, EpollKey(.listener))
        try epoll.add(wakeUp, .input, EpollKey(.wakeUp))
        if let stop = configuration.stopDescriptor { try epoll.add(stop, .input, EpollKey(.stop)) }
        if let store {
            bag = DescriptorBag(store, former: kept, logger: logger) { [connections, binder] in
                connections.descriptors + binder.descriptors
            }
            binder.bag = bag
        }
        try restore(left, at: now)
    }

    deinit {
        Glibc.close(wakeUp)
    }

    /// Serves until ``stop()`` or until the stop descriptor is readable; then removes the socket, and leaves everything to the next daemon.
    public func run() throws {
        logger.notice(
            "started",
            metadata: [
                "socket": "\(configuration.socketPath)", "state": "\(configuration.stateDirectory)",
                "sessions.limit": "\(sessionLimit)",
            ]
        )
        defer { shutDown() }
        try beginSupervision(at: clock())
        while !isStopped { try turn() }
    }

    /// Makes ``run()`` return.
    ///
    /// May be called from any thread.
    public func stop() {
        eventfd_write(wakeUp, 1 << 32)
    }

    /// Makes the loop take a turn, so that it reads its clock.
    ///
    /// May be called from any thread.
    public func wake() {
        eventfd_write(wakeUp, 1)
    }

    /// The files beside the socket and the state that no two daemons have; an abstract socket has none beside it.
    private static func lockedPaths(_ configuration: ServerConfiguration) -> [String] {
        let state = configuration.stateDirectory + "/lock"
        return configuration.socketPath.hasPrefix("@") ? [state] : [state, configuration.socketPath + ".lock"]
    }

    /// How many descriptors there may be of each kind with these limits.
    func budget(_ limits: Limits) -> DescriptorBudget {
        DescriptorBudget(descriptorLimit: descriptorLimit, sessionLimit: limits.sessions)
    }

    private func shutDown() {
        supervision.supervisor?.serverIsStopping()
        listener.shutDown { socket in
            loose.add(1, of: .overflow)
            loose.close(socket, of: .overflow)
        }
        for connection in connections.all { connection.abandon() }
        if let (socket, _) = halfAccepted { Glibc.close(socket) }
        log?.noteAlive(at: clock())
        logger.notice("stopped")
    }

    // MARK: The turn

    private func turn() throws {
        let readyCount = try epoll.wait(timeout: timeout())
        let now = clock()
        acceptAgainIfDue(now)
        // What is due has ended before anything is looked at that was read now.
        service.passTime(at: now)
        let isBehind = service.nextDeadline.map { $0 <= now } ?? false
        for index in 0..<readyCount {
            let (key, interest) = epoll.readiness(at: index)
            handle(key, interest, now)
            // What was not handled is ready still in the next turn.
            if log?.isCrowded == true { break }
        }
        service.resume(at: now)
        resumeSessions(now)
        // What has ended by that, unless that was as much as one turn ends.
        if !isBehind { service.passTime(at: now) }
        commit(now)
        writeOutputs(now)
        superviseTurn(now)
    }

    /// How long nothing needs to be done, in milliseconds, rounded up so that nothing is found not quite due.
    private func timeout() -> CInt {
        if service.hasRunnableSessions || !service.dirty.isEmpty { return 0 }
        var next = service.nextDeadline
        if let acceptsAgainAt { next = min(acceptsAgainAt, next ?? acceptsAgainAt) }
        if let dueAt = supervision.dueAt { next = min(dueAt, next ?? dueAt) }
        guard let next else { return -1 }
        var nanoseconds = next.nanoseconds - clock().nanoseconds
        // A ttl is extended by the time without a daemon, so it should be known until when there was one; the sooner it ends, the better.
        if log != nil { nanoseconds = min(nanoseconds, max(Self.leastLifeSignNanoseconds, nanoseconds / 8)) }
        return CInt(clamping: (max(0, nanoseconds) + 999_999) / 1_000_000)
    }

    private func handle(_ key: EpollKey, _ interest: Epoll.Interest, _ now: MonotonicInstant) {
        switch key.kind {
        case .listener: accept(now)
        case .wakeUp: takeWakeUp()
        case .stop: isStopped = true
        case .barrier: barrierHasPassed()
        case .supervisor: handleSupervisor(key, now)
        case .socket:
            guard let connection = connections[key] else { return }
            if interest.isDisjoint(with: [.peerShutDown, .hangUp]) {
                if interest.contains(.input) { receive(from: connection, now) }
                if interest.contains(.output) {
                    commit(now)
                    write(to: connection, now)
                }
            } else {
                hangUp(connection, now)
            }
        case .process:
            guard let connection = connections[key] else { return }
            hangUp(connection, now)
            close(connection, now)
        case .bound:
            guard let id = bounds.takeEnded(key), let session = binder.session(of: id) else { return }
            service.bindingEnded(session, at: now)
        }
    }

    private func takeWakeUp() {
        var count: eventfd_t = 0
        eventfd_read(wakeUp, &count)
        if count >= 1 << 32 { isStopped = true }
    }

    /// Makes what was said so far ready to be written; word of a loss is written before what was granted because of it, whoever else is told of what.
    private func commit(_ now: MonotonicInstant) {
        service.commit(at: now)
        losses.write(to: connections)
    }

    private func writeOutputs(_ now: MonotonicInstant) {
        service.takeDirtySessions(into: &sessionsToWrite)
        for session in sessionsToWrite {
            guard let connection = connections[session] else { continue }
            write(to: connection, now)
        }
        for user in service.settleUsers(at: now) { warnOfBytes(of: user) }
        watchBag()
        service.noteWritten(at: now)
    }

    // MARK: One connection

    private func receive(from connection: Connection, _ now: MonotonicInstant) {
        guard connection.session.wantsInput else { return watch(connection, forInput: false) }
        switch read(from: connection, now) {
        case .bytes(let bytes): take(bytes, from: connection, now)
        case .nothing: break
        case .end: hangUp(connection, now)
        case .tooManyDescriptors:
            logger.warning(
                "too many descriptors that wait to be closed, ending a session that sends more",
                metadata: [
                    "peer.uid": "\(connection.session.peer.user)", "peer.pid": "\(connection.session.peer.process)",
                ]
            )
            service.end(connection.session, at: now)
            commit(now)
            write(to: connection, now)
        }
    }

    /// Reads into memory that outlives the daemon, so that no line is lost that was read, and what came of it not committed.
    func read(from connection: Connection, _ now: MonotonicInstant) -> ClientSocket.Input {
        if receiver.isFull { service.commit(at: now) }
        let buffer = receiver.begin(for: connection.session.id)
        let isFull = connection.session.user.isFull
        let length = isFull ? UserSessions.inputPerTurnWhenFull : buffer.count
        let input = connection.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]))
        if case .bytes(let bytes) = input { receiver.end(bytes.count) }
        return input
    }

    func take(_ bytes: UnsafeRawBufferPointer, from connection: Connection, _ now: MonotonicInstant) {
        service.receive(bytes, from: connection.session, at: now)
        if service.isCommitDue { service.commit(at: now) }
        discardUnclaimedDescriptors(of: connection)
        resumeSessions(now)
    }

    /// A descriptor belongs to the line with whose bytes it came: when all of them were taken, nobody will claim it any more.
    private func discardUnclaimedDescriptors(of connection: Connection) {
        if connection.session.input.bufferedByteCount == 0 { connection.discardDescriptors() }
    }

    func write(to connection: Connection, _ now: MonotonicInstant) {
        // It may have gone on with lines that had been held back.
        discardUnclaimedDescriptors(of: connection)
        connection.writeOutput()
        service.outputWasWritten(of: connection.session)
        if connection.session.state == .ended && connection.session.output.isEmpty {
            close(connection, now)
        } else {
            watch(connection)
        }
    }

    /// Makes epoll watch the socket for what can be done with it now.
    ///
    /// Input that is not wanted is watched for until it comes (`forInput` is false then), which saves two system calls for every short wait.
    private func watch(_ connection: Connection, forInput: Bool = true) {
        let session = connection.session
        var interest: Epoll.Interest = []
        if session.state == .open {
            interest.insert(.peerShutDown)
            if session.wantsInput || (forInput && connection.interest.contains(.input)) { interest.insert(.input) }
        }
        if !session.output.isEmpty { interest.insert(.output) }
        guard interest != connection.interest, connection.socket != Connection.none else { return }
        connection.interest = interest
        epoll.modify(connection.socket, interest, connection.socketKey)
    }

    /// The client has hung up or its process has ended: takes the lines that it has sent, and ends its session.
    func hangUp(_ connection: Connection, _ now: MonotonicInstant) {
        let session = connection.session
        if session.state == .ended {
            // It had half-closed before and now has closed: nobody is there to read what is left.
            return close(connection, now)
        }
        service.endInput(of: session, at: now)
        resumeSessions(now)
        var rest = Self.inputAtEnd
        while rest > 0, case .bytes(let bytes) = read(from: connection, now) {
            take(bytes, from: connection, now)
            rest -= bytes.count
        }
        // It may be another one's by now: then that goes on, with a connection that has ended.
        service.end(connection.session, at: now)
        commit(now)
        write(to: connection, now)
    }

    func close(_ connection: Connection, _ now: MonotonicInstant) {
        guard connections.remove(connection) else { return }
        connection.close()
        service.close(connection.session)
        if connections.count < sessionLimit / 2 { hasWarnedOfSessionLimit = false }
        if acceptsAgainAt != nil { acceptsAgainAt = now }
    }
}
