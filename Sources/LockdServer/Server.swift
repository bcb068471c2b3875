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
    private let clock: () -> MonotonicInstant
    private let locks: [InstanceLock]
    let listener: Listener
    let epoll: Epoll
    let wakeUp: CInt
    private let tokens: TokenReserver
    // Only the loop's thread comes here, and the service calls nothing of the server's but to flush a connection.
    @exclusivity(unchecked) var service: LockService
    let connections: ConnectionTable
    private let descriptorLimit: Int
    var sessionLimit: Int
    var supervision: Supervision
    let loose: LooseDescriptors
    /// What leases and waits are bound to.
    let bounds: BoundTable
    private let binder: DescriptorBinder

    /// Kept from turn to turn for its memory.
    private var sessionsToWrite: [Session] = []
    var isStopped = false
    /// The listener is left alone until then, because descriptors have run out.
    var acceptsAgainAt: MonotonicInstant?
    /// An accepted connection that waits for a second descriptor, that of its process.
    var halfAccepted: CInt?
    var hasWarnedOfDescriptors = false
    var hasWarnedOfSessionLimit = false
    private let inputBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: inputPerTurn, alignment: 16)

    /// How many bytes are read from one session in one turn.
    private static let inputPerTurn = 16 * 1024
    /// How many bytes are read from a session that ends: more than a socket buffer holds by default.
    private static let inputAtEnd = 256 * 1024
    /// How many connections are accepted in one turn.
    static let acceptsPerTurn = 64
    /// How long the listener is left alone when descriptors have run out and none is given back.
    static let acceptPause = Milliseconds(1000)

    /// Takes the locks, reserves the first tokens, and listens.
    ///
    /// Nobody is served before ``run()``.
    ///
    /// - Parameters:
    ///   - supervisor: who is told how the server is doing, from ``run()`` on.
    ///   - clock: read once for each turn; CLOCK_MONOTONIC, unless a test says otherwise.
    /// - Throws: ``SystemError`` and errors that say in their description what stands in the way and what to do.
    public init(
        configuration: ServerConfiguration,
        logger: Logger,
        supervisor: (any Supervisor)? = nil,
        clock: (() -> MonotonicInstant)? = nil
    ) throws {
        self.configuration = configuration
        self.logger = logger
        self.clock = clock ?? MonotonicInstant.now
        // Before anything is touched, so that of two daemons that start at once only one goes on.
        locks = try Self.lockedPaths(configuration).map { try InstanceLock(path: $0) }
        let file = TokenFile(directory: configuration.stateDirectory)
        let block = try file.reserve(TokenReserver.firstBlockSize, atLeast: Self.wallClockMicroseconds())
        Self.waitUntilWallClock(reaches: block.lowerBound)
        let last = FencingToken(block.upperBound)
        tokens = TokenReserver(file: file, reservedThrough: last, logger: logger)
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
        service = LockService(
            identity: .init(version: configuration.version, process: ProcessID(getpid())),
            limits: limits,
            firstBlock: FencingToken(block.lowerBound)...last,
            tokens: tokens,
            at: self.clock(),
            flush: { connections[$0]?.writeOutput() },
            record: { logger.notice("revoked", metadata: $0.metadata) },
            binder: binder
        )
        wakeUp = try check("eventfd") { eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK)) }
        listener =
            try configuration.listeningDescriptor.map { Listener(adopting: $0) }
            ?? Listener(path: configuration.socketPath, mode: configuration.socketMode)
        try epoll.add(listener.descriptor, .input, EpollKey(.listener))
        try epoll.add(wakeUp, .input, EpollKey(.wakeUp))
        if let stop = configuration.stopDescriptor { try epoll.add(stop, .input, EpollKey(.stop)) }
    }

    deinit {
        Glibc.close(wakeUp)
        inputBuffer.deallocate()
    }

    /// Serves until ``stop()`` or until the stop descriptor is readable; then removes the socket and ends every session.
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
        for connection in connections.all { connection.close() }
        if let socket = halfAccepted { clientSocket(socket).close() }
        bounds.releaseAll()
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
        }
        service.resume(at: now)
        // What has ended by that, unless that was as much as one turn ends.
        if !isBehind { service.passTime(at: now) }
        writeOutputs(now)
        superviseTurn(now)
    }

    /// How long nothing needs to be done, in milliseconds, rounded up so that nothing is found not quite due.
    private func timeout() -> CInt {
        if service.hasRunnableSessions { return 0 }
        var next = service.nextDeadline
        if let acceptsAgainAt { next = min(acceptsAgainAt, next ?? acceptsAgainAt) }
        if let dueAt = supervision.dueAt { next = min(dueAt, next ?? dueAt) }
        guard let next else { return -1 }
        let nanoseconds = next.nanoseconds - clock().nanoseconds
        return CInt(clamping: (max(0, nanoseconds) + 999_999) / 1_000_000)
    }

    private func handle(_ key: EpollKey, _ interest: Epoll.Interest, _ now: MonotonicInstant) {
        switch key.kind {
        case .listener: accept(now)
        case .wakeUp: takeWakeUp()
        case .stop: isStopped = true
        case .supervisor: handleSupervisor(key, now)
        case .socket:
            guard let connection = connections[key] else { return }
            if interest.isDisjoint(with: [.peerShutDown, .hangUp]) {
                if interest.contains(.input) { receive(from: connection, now) }
                if interest.contains(.output) { write(to: connection, now) }
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

    private func writeOutputs(_ now: MonotonicInstant) {
        service.takeDirtySessions(into: &sessionsToWrite)
        for session in sessionsToWrite {
            guard let connection = connections[session] else { continue }
            write(to: connection, now)
        }
        for user in service.settleUsers(at: now) { warnOfBytes(of: user) }
    }

    // MARK: One connection

    private func receive(from connection: Connection, _ now: MonotonicInstant) {
        guard connection.session.wantsInput else { return watch(connection, forInput: false) }
        switch connection.read(into: inputBuffer(for: connection.session)) {
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
            write(to: connection, now)
        }
    }

    private func take(_ bytes: UnsafeRawBufferPointer, from connection: Connection, _ now: MonotonicInstant) {
        service.receive(bytes, from: connection.session, at: now)
        discardUnclaimedDescriptors(of: connection)
    }

    /// A descriptor belongs to the line with whose bytes it came: when all of them were taken, nobody will claim it any more.
    private func discardUnclaimedDescriptors(of connection: Connection) {
        if connection.session.input.bufferedByteCount == 0 { connection.discardDescriptors() }
    }

    private func inputBuffer(for session: Session) -> UnsafeMutableRawBufferPointer {
        guard session.user.isFull else { return inputBuffer }
        return UnsafeMutableRawBufferPointer(rebasing: inputBuffer[..<UserSessions.inputPerTurnWhenFull])
    }

    private func write(to connection: Connection, _ now: MonotonicInstant) {
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
        guard interest != connection.interest else { return }
        connection.interest = interest
        epoll.modify(connection.socket, interest, connection.socketKey)
    }

    /// The client has hung up or its process has ended: takes the lines that it has sent, and ends its session.
    private func hangUp(_ connection: Connection, _ now: MonotonicInstant) {
        let session = connection.session
        if session.state == .ended {
            // It had half-closed before and now has closed: nobody is there to read what is left.
            return close(connection, now)
        }
        service.endInput(of: session, at: now)
        var rest = Self.inputAtEnd
        while rest > 0, case .bytes(let bytes) = connection.read(into: inputBuffer) {
            take(bytes, from: connection, now)
            rest -= bytes.count
        }
        service.end(session, at: now)
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
