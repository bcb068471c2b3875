import CLinux
import Glibc

/// The descriptors of one session: its socket, the pidfd of the process at the other end, and what the client has sent along.
final class Connection {
    let session: Session
    let socket: CInt
    let pidfd: CInt
    private let client: ClientSocket
    // Only the loop's thread comes here, and nothing that it calls comes back.
    @exclusivity(unchecked) private var received: ReceivedDescriptors
    let socketKey: EpollKey
    let processKey: EpollKey
    /// What epoll watches the socket for at present.
    @exclusivity(unchecked) var interest: Epoll.Interest = [.input, .peerShutDown]
    /// The client can no longer be written to.
    private(set) var isBroken = false

    init(session: Session, socket: ClientSocket, pidfd: CInt, slot: Int, generation: UInt32) {
        self.session = session
        self.socket = socket.descriptor
        self.pidfd = pidfd
        client = socket
        received = ReceivedDescriptors(of: socket.user, socket.loose)
        socketKey = EpollKey(.socket, slot: slot, generation: generation)
        processKey = EpollKey(.process, slot: slot, generation: generation)
    }

    /// Reads what is there, as much as `buffer` holds.
    ///
    /// Descriptors that come along wait for ``takeDescriptor()`` or ``discardDescriptors()``.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> ClientSocket.Input {
        client.read(into: buffer) { received.append($0) }
    }

    /// Hands over the oldest descriptor that waits, for the line that is being taken; nothing if none does.
    ///
    /// The caller owns it and sees to it that it is closed by way of ``LooseDescriptors``.
    func takeDescriptor() -> CInt? { received.takeFirst() }

    /// Closes the descriptors that no line has claimed.
    ///
    /// To be called when all bytes that were read have been taken as lines: a descriptor belongs to the line with whose bytes it came.
    func discardDescriptors() {
        if !received.isEmpty { received.removeAll() }
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
        discardDescriptors()
        client.close()
        Glibc.close(pidfd)
    }
}
