import CLinux
import Glibc
import LockdModel
import LockdWire
import Logging

/// How clients come in.
extension Server {
    func accept(_ now: MonotonicInstant) {
        for _ in 0..<Self.acceptsPerTurn {
            do {
                guard let (socket, id) = try nextConnection() else {
                    hasWarnedOfDescriptors = false
                    return
                }
                try admit(socket, as: id, now)
            } catch {
                return pauseAccepting(now, error)
            }
        }
    }

    /// The next connection, or nothing if there is none.
    ///
    /// - Throws: ``SystemError`` if there is one, but no descriptor for it.
    private func nextConnection() throws(SystemError) -> (socket: CInt, id: SessionID)? {
        if let half = halfAccepted {
            halfAccepted = nil
            return half
        }
        while true {
            let socket = clinux_accept(listener.descriptor)
            if socket != -1 {
                let id = service.makeSessionID()
                // At once: until then a client that has connected has nobody, should the daemon end.
                bag?.put(socket, .init(session: id, isBound: false))
                return (socket, id)
            }
            if errno == EINTR || errno == ECONNABORTED { continue }
            if SystemError.isExhaustion(errno) { throw SystemError("accept") }
            return nil
        }
    }

    /// What this process is, which starts now.
    static func identity(_ version: String) -> LockService.Identity {
        .init(version: version, process: ProcessID(getpid()), startTime: wallClockMicroseconds() / 1000)
    }

    /// Reads the wall clock, for the least token: microseconds since 1970.
    static func wallClockMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(time.tv_nsec) / 1000
    }

    /// Waits until no token that is about to be granted is ahead of the wall clock; for no longer than the two largest blocks are long.
    ///
    /// A daemon that ended right after its start has left such tokens behind. Were the next one to grant from there on and its directory to be
    /// wiped, the one after it would begin below them. If the clock was set back it is not worth waiting for.
    static func waitUntilWallClock(reaches token: UInt64) {
        let now = wallClockMicroseconds()
        if token > now, token - now <= 2 * TokenReserver.largestBlockSize { usleep(UInt32(token - now)) }
    }

    func acceptAgainIfDue(_ now: MonotonicInstant) {
        guard let due = acceptsAgainAt, due <= now else { return }
        acceptsAgainAt = nil
        epoll.modify(listener.descriptor, .input, EpollKey(.listener))
        // Without being asked to: a connection that was accepted by half may be the last, and the listener has no word of it.
        accept(now)
    }

    /// Leaves the listener alone for a while.
    ///
    /// The connections stay in the backlog, so the listener stays readable: without a pause the loop would spin.
    private func pauseAccepting(_ now: MonotonicInstant, _ error: any Error) {
        if !hasWarnedOfDescriptors {
            hasWarnedOfDescriptors = true
            logger.warning("cannot accept connections", metadata: ["error": "\(error)"])
        }
        acceptsAgainAt = now + Self.acceptPause
        epoll.modify(listener.descriptor, [], EpollKey(.listener))
    }

    /// Makes a session of a connection, unless nobody is at its other end or there are too many.
    ///
    /// - Throws: ``SystemError`` if descriptors have run out; then the connection is kept for later.
    @discardableResult
    func admit(_ socket: CInt, as id: SessionID, _ now: MonotonicInstant) throws(SystemError) -> Session? {
        let found: (peer: Peer, pidfd: CInt)?
        do {
            found = try PeerIdentification.identify(socket, unit: configuration.unitOfPeer)
        } catch {
            halfAccepted = (socket, id)
            throw error
        }
        guard let (peer, pidfd) = found else {
            // The process is gone already, so it holds nothing and reads nothing.
            clientSocket(socket).close()
            return nil
        }
        if let refusal = refusal(of: peer) {
            Glibc.close(pidfd)
            refuse(socket, peer, refusal)
            return nil
        }
        let process = ProcessIdentity(of: pidfd, number: peer.process)
        let session = service.open(peer, process, as: id, at: now)
        connect(session, socket, pidfd, now)
        return session
    }

    /// Gives a session its connection: what there is of it, a socket and a pidfd, is watched from now on.
    func connect(_ session: Session, _ socket: CInt?, _ pidfd: CInt, _ now: MonotonicInstant) {
        let connection = connections.insert { slot, generation in
            Connection(
                session: session,
                socket: socket.map { clientSocket($0, of: session.peer.user) },
                pidfd: pidfd,
                loose: loose,
                slot: slot,
                generation: generation
            )
        }
        do {
            if let socket { try epoll.add(socket, connection.interest, connection.socketKey) }
            if pidfd != Connection.none { try epoll.add(pidfd, .input, connection.processKey) }
        } catch {
            logger.warning("cannot watch a connection", metadata: ["error": "\(error)"])
            service.end(session, at: now)
            close(connection, now)
        }
    }

    func clientSocket(_ socket: CInt, of user: UserID = .overflow) -> ClientSocket {
        ClientSocket(descriptor: socket, user: user, loose: loose)
    }

    private func refuse(_ socket: CInt, _ peer: Peer, _ refusal: WireError) {
        service.countRefusedSession()
        if refusal.scope == .user {
            warnOfSessions(of: peer)
        } else if !hasWarnedOfSessionLimit {
            hasWarnedOfSessionLimit = true
            logger.warning(
                "too many sessions, refusing new ones",
                metadata: [
                    "sessions.limit": "\(sessionLimit)", "peer.uid": "\(peer.user)", "peer.pid": "\(peer.process)",
                ]
            )
        }
        var line: [UInt8] = []
        ReplyEncoder.encode(.error(refusal), tag: nil, to: &line)
        _ = send(socket, line, line.count, CInt(MSG_DONTWAIT | MSG_NOSIGNAL))
        clientSocket(socket, of: peer.user).close()
    }
}
