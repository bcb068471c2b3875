import CLinux
import Glibc
import LockdCore
import LockdModel
import Logging

/// How the daemon goes on where the one before has stopped, and sessions go on with new connections.
extension Server {
    /// For how long nothing is granted when it is not known what is held: as long as a waiting request is waited for whose session is detached.
    static let graceAfterDamage = Milliseconds.seconds(10)

    /// Reserves tokens, so that the first to be granted is larger than all that ever were.
    static func reserveTokens(
        in directory: String,
        after contents: LogContents,
        _ logger: Logger
    ) throws -> (block: ClosedRange<FencingToken>, reserver: TokenReserver) {
        let file = TokenFile(directory: directory)
        let next = max(contents.nextToken?.value ?? 0, (contents.claims.compactMap(\.token).max()?.value ?? 0) + 1)
        let block = try file.reserve(TokenReserver.firstBlockSize, atLeast: max(wallClockMicroseconds(), next))
        let last = FencingToken(block.upperBound)
        let reserver = TokenReserver(file: file, reservedThrough: last, logger: logger)
        // Where it is known which was the last, nothing is left out, so they do not get ahead of the clock.
        if let known = contents.nextToken, known.value == next, known <= last { return (known...last, reserver) }
        waitUntilWallClock(reaches: block.lowerBound)
        return (FencingToken(block.lowerBound)...last, reserver)
    }

    /// Brings back all sessions, and writes them down in a log of this daemon's own.
    func restore(_ left: consuming Leftovers, at now: MonotonicInstant) throws {
        let contents = left.contents
        service.restore(contents)
        if contents.damage != nil { service.suspendGrants(until: now + Self.graceAfterDamage, at: now) }
        for session in service.restoredSessions {
            let socket = left.takeDescriptor(.init(session: session.id, isBound: false))
            bringBack(session, socket, contents, now)
        }
        for bound in contents.bounds where service.bound[bound.session] != nil {
            bringBack(bound, left.takeDescriptor(.init(session: bound.session, isBound: true)), contents, now)
        }
        receiveAgain(contents, now)
        for (id, socket) in left.takeUnknownConnections() { bringBack(unknown: socket, id, contents, now) }
        try writeDown()
        // Not before: what is left in a former connection is read into the log that counts.
        resumeSessions(now)
        bag?.renew()
        watchBag()
        guard left.wasThere else { return }
        logger.notice(
            "restored",
            metadata: [
                "sessions": "\(connections.count)", "leases": "\(service.table.leaseCount)",
                "waiters": "\(service.table.waiterCount)",
                "detached": "\(connections.all.count { $0.session.isDetached })",
            ]
        )
    }

    /// Records everything in the new log, which then takes the place of the old one.
    private func writeDown() throws {
        defer { service.endRestoring() }
        guard let log else { return }
        while true {
            let unrecorded = service.recordEverything(in: log)
            if !log.isOverfull, unrecorded.isEmpty { break }
            if try !enlarge(log) {
                unrecorded.forEach { service.tear($0, in: log) }
                break
            }
        }
        service.endRestoring()
        service.commit(at: clock())
        // Not before: in a log that is gone on in, the deadlines are those of the daemon before until the commit.
        log.noteAlive(at: clock())
        try log.publish()
    }

    /// Begins anew in a log of twice the size; says whether there is room for that.
    ///
    /// - Throws: ``SystemError`` if there is none, and without it not all that there is can be gone on with.
    private func enlarge(_ log: WriteAheadLog) throws -> Bool {
        guard log.capacity < log.sizes.largestCapacity else { return false }
        do {
            try log.beginRewriting(capacity: 2 * log.capacity)
            return true
        } catch {
            if log.isOverfull { throw error }
            return false
        }
    }

    /// Gives a session its connection again if that was kept; else finds its process, or ends it.
    private func bringBack(_ session: Session, _ socket: CInt?, _ contents: LogContents, _ now: MonotonicInstant) {
        let isDamaged = contents.damage != nil
        if let socket, !session.logged.isTorn {
            let pidfd = clinux_peer_pidfd(socket)
            connect(session, socket, pidfd == -1 ? findProcess(of: session, contents) ?? Connection.none : pidfd, now)
            guard session.state == .open else { return }
            return service.attach(session, isDamaged: isDamaged, at: now)
        }
        if let socket {
            shutdown(socket, CInt(SHUT_RDWR))
            Glibc.close(socket)
        }
        guard session.isResumable, let pidfd = findProcess(of: session, contents) else {
            service.end(session, at: now)
            return service.close(session)
        }
        service.detach(session, isDamaged: isDamaged, at: now)
        connect(session, nil, pidfd, now)
    }

    /// A connection of which the log says nothing: the session has ended and is to hear its last words, or had not begun.
    private func bringBack(unknown socket: CInt, _ id: SessionID, _ contents: LogContents, _ now: MonotonicInstant) {
        if let words = contents.farewells[id] {
            return connect(service.restoreFarewell(words, of: id), socket, Connection.none, now)
        }
        // It has ended, and was told everything; or some of its leases are still there.
        if service.table.recordSlot(of: id) != nil { return clientSocket(socket).close() }
        do {
            guard let session = try admit(socket, as: id, now), contents.damage != nil else { return }
            service.tellOfDamage(session)
        } catch {
            // It may connect again, when there are descriptors.
            clientSocket(socket).close()
        }
    }

    /// A pidfd of the session's process, or none where processes cannot be found; nothing if it has ended.
    private func findProcess(of session: Session, _ contents: LogContents) -> CInt? {
        // Whether a process of another namespace has ended is not to be seen. Its leases stay until it comes back.
        if contents.isForeign || session.peer.process.value == 0 { return Connection.none }
        do {
            return try session.process.open(session.peer.process)
        } catch {
            logger.error("cannot watch a process", metadata: ["pid": "\(session.peer.process)", "error": "\(error)"])
            return Connection.none
        }
    }

    /// Finds what a lease is bound to again, or ends it.
    private func bringBack(
        _ bound: LogRecord.Bound,
        _ kept: CInt?,
        _ contents: LogContents,
        _ now: MonotonicInstant
    ) {
        let target = bound.lease.target
        switch kept.map({ .found(BoundDescriptor($0, for: target)) })
            ?? BoundDescriptor.find(target, isForeign: contents.isForeign)
        {
        case .found(let descriptor):
            do {
                return try binder.watch(descriptor, as: bound.session)
            } catch {
                Glibc.close(descriptor.descriptor)
                logger.error("cannot watch what a lease is bound to", metadata: ["error": "\(error)"])
            }
        case .ended: return service.bindingEnded(bound.session, at: now)
        case .unknown: break
        }
        logger.warning(
            "cannot tell when a lease will end, so it stays until it is released or revoked",
            metadata: ["bound": "\(target.binding)", "peer.pid": "\(target.peer.process)"]
        )
    }

    /// Sees to it that the loop hears when the store has done what it was asked for.
    func watchBag() {
        guard let barrier = bag?.barrier, barrier != watchedBarrier else { return }
        watchedBarrier = barrier
        do {
            try epoll.add(barrier, .input, EpollKey(.barrier))
        } catch {
            logger.warning("cannot wait for the store of descriptors", metadata: ["error": "\(error)"])
        }
    }

    /// The store has the present bag.
    func barrierHasPassed() {
        guard let watchedBarrier else { return }
        epoll.remove(watchedBarrier)
        self.watchedBarrier = nil
        bag?.barrierHasPassed()
        watchBag()
    }

    /// Takes the lines that the daemon before had received, and may have taken, when it ended.
    private func receiveAgain(_ contents: LogContents, _ now: MonotonicInstant) {
        for (id, bytes) in contents.received {
            guard let session = service.sessions[id] else { continue }
            bytes.withUnsafeBytes { service.receive($0, from: session, at: now) }
        }
    }

    /// Gives sessions the connections that have asked for them.
    @inline(__always)
    func resumeSessions(_ now: MonotonicInstant) {
        if !service.resumptions.isEmpty { resume(service.takeResumptions(), now) }
    }

    private func resume(_ resumptions: [Resumption], _ now: MonotonicInstant) {
        for resumption in resumptions {
            // One that has none may be resumed by whoever comes next.
            guard let connection = connections[resumption.session] else { continue }
            resume(resumption, with: connection, now)
        }
    }

    /// Gives a session the connection that has asked for it; what is left in the former one comes first.
    private func resume(_ resumption: Resumption, with connection: Connection, _ now: MonotonicInstant) {
        let (session, former) = (resumption.session, resumption.former)
        if let old = connections[former] {
            drain(old, now)
            _ = connections.remove(old)
            old.close()
        }
        // What was read may have ended it.
        guard former.state == .open else { return service.greetAsNew(session, resumption, at: now) }
        connection.session = former
        former.connectionSlot = session.connectionSlot
        bag?.put(connection.socket, .init(session: former.id, isBound: false))
        service.finish(resumption, at: now)
        service.commit(at: now)
    }

    private func drain(_ old: Connection, _ now: MonotonicInstant) {
        var rest = Self.inputAtEnd
        while rest > 0, old.session.state == .open, case .bytes(let bytes) = read(from: old, now) {
            rest -= bytes.count
            take(bytes, from: old, now)
        }
    }
}
