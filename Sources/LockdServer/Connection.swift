import CLinux
import Glibc

/// The descriptors of one session: its socket, and the pidfd of the process at the other end.
final class Connection {
    let session: Session
    let socket: CInt
    let pidfd: CInt
    let socketKey: EpollKey
    let processKey: EpollKey
    /// What epoll watches the socket for at present.
    @exclusivity(unchecked) var interest: Epoll.Interest = [.input, .peerShutDown]
    /// The client can no longer be written to.
    private(set) var isBroken = false

    init(session: Session, socket: CInt, pidfd: CInt, slot: Int, generation: UInt32) {
        self.session = session
        self.socket = socket
        self.pidfd = pidfd
        socketKey = EpollKey(.socket, slot: slot, generation: generation)
        processKey = EpollKey(.process, slot: slot, generation: generation)
    }

    /// What a read brought.
    enum Input {
        case bytes(UnsafeRawBufferPointer)
        case nothing
        case end
    }

    /// Reads what is there, as much as `buffer` holds.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Input {
        let count = retryingOnInterrupt { recv(socket, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT)) }
        if count > 0 { return .bytes(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
        if count == -1 && errno == EAGAIN { return .nothing }
        // A reset is an end: a client that closes with replies unread leaves one.
        return .end
    }

    /// Writes as much of the session's output as the socket takes.
    func writeOutput() {
        while !session.output.isEmpty && !isBroken {
            var isFull = false
            session.drainOutput { bytes in
                let flags = CInt(MSG_DONTWAIT | MSG_NOSIGNAL)
                let count = retryingOnInterrupt { send(socket, bytes.baseAddress, bytes.count, flags) }
                if count >= 0 {
                    isFull = count < bytes.count
                    return count
                }
                if errno == EAGAIN { isFull = true } else { isBroken = true }
                return 0
            }
            if isFull { return }
        }
        if isBroken { session.output.removeAll() }
    }

    func close() {
        Self.close(socket)
        Glibc.close(pidfd)
    }

    /// Closes a socket so that its client finds the end of the stream behind what it was sent.
    ///
    /// Closing a socket with bytes unread resets the connection: the client would find an error instead.
    static func close(_ socket: CInt) {
        shutdown(socket, CInt(SHUT_RDWR))
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { unread in
            while retryingOnInterrupt({ recv(socket, unread.baseAddress, unread.count, CInt(MSG_DONTWAIT)) }) > 0 {}
        }
        Glibc.close(socket)
    }
}
