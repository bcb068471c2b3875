import CLinux
import Glibc
import LockdModel

/// The descriptors of one session: its socket, the pidfd of the process at the other end, and what the client has sent along.
///
/// A session that is detached has no socket, and one whose process is not to be seen has no pidfd.
final class Connection {
    /// Becomes another one if that is resumed.
    var session: Session
    let socket: CInt
    let pidfd: CInt
    private let client: ClientSocket?
    // Only the loop's thread comes here, and nothing that it calls comes back.
    @exclusivity(unchecked) private var received: ReceivedDescriptors
    let socketKey: EpollKey
    let processKey: EpollKey
    /// What epoll watches the socket for at present.
    @exclusivity(unchecked) var interest: Epoll.Interest = [.input, .peerShutDown]
    /// The client can no longer be written to.
    private(set) var isBroken = false

    /// What no descriptor is.
    static let none: CInt = -1
    /// So many bytes of lines are written at a time: a Unix socket takes them or leaves them as a whole, so no line is ever written in part unless it is
    /// longer than that, or the machine's sockets have unusually small buffers.
    private static let bytesPerWrite = 32 * 1024

    init(
        session: Session,
        socket: ClientSocket?,
        pidfd: CInt,
        loose: LooseDescriptors,
        slot: Int,
        generation: UInt32
    ) {
        self.session = session
        self.socket = socket?.descriptor ?? Self.none
        self.pidfd = pidfd
        client = socket
        received = ReceivedDescriptors(of: session.peer.user, loose)
        socketKey = EpollKey(.socket, slot: slot, generation: generation)
        processKey = EpollKey(.process, slot: slot, generation: generation)
    }

    /// Reads what is there, as much as `buffer` holds.
    ///
    /// Descriptors that come along wait for ``takeDescriptor()`` or ``discardDescriptors()``.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> ClientSocket.Input {
        client?.read(into: buffer) { received.append($0) } ?? .nothing
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
    ///
    /// - Parameter end: no more than what had been said when so many bytes had been, in all.
    func writeOutput(through end: UInt64 = .max) {
        guard socket != Self.none else { return }
        while !session.output.isEmpty && !isBroken {
            let sent = session.output.sentByteCount
            guard sent < end else { return }
            var isFull = false
            session.output.drain { bytes in
                let length = Self.lengthOfLines(in: bytes, atMost: min(bytes.count, Int(clamping: end - sent)))
                let flags = CInt(MSG_DONTWAIT | MSG_NOSIGNAL)
                let count = retryingOnInterrupt { send(socket, bytes.baseAddress, length, flags) }
                if count >= 0 {
                    isFull = count < length
                    return count
                }
                if errno == EAGAIN { isFull = true } else { isBroken = true }
                return 0
            }
            if isFull { return }
        }
        if isBroken { session.output.removeAll() }
    }

    /// How many bytes are written at once: whole lines, if there is one.
    private static func lengthOfLines(in bytes: UnsafeRawBufferPointer, atMost limit: Int) -> Int {
        if limit <= bytesPerWrite { return limit }
        return bytes[..<bytesPerWrite].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? bytesPerWrite
    }

    /// Leaves the socket to the next daemon, if somebody keeps it for that.
    func abandon() {
        discardDescriptors()
        if socket != Self.none { Glibc.close(socket) }
        if pidfd != Self.none { Glibc.close(pidfd) }
    }

    func close() {
        discardDescriptors()
        client?.close()
        if pidfd != Self.none { Glibc.close(pidfd) }
    }
}
