import CLinux
import Glibc
import LockdModel

/// The socket of one connection.
///
/// One thread receives and waits, one at a time sends; anybody may shut it down. The descriptor is closed when the last of them has let go
/// of it, so nobody ever uses a descriptor that has become somebody else's.
final class Transport: Sendable {
    private let socket: CInt

    /// The socket, for whoever waits for several things at once.
    var descriptor: CInt { socket }

    /// Connects to the daemon at `path`.
    ///
    /// Blocks while the daemon's backlog is full, for `timeout` at most: the kernel tells when there is room, so nothing is tried again and again. Without one, it
    /// does not block.
    init(path: String, timeout: Milliseconds?) throws(ConnectFailure) {
        socket = try Self.connect(path, timeout)
    }

    deinit { close(socket) }

    private static func connect(_ path: String, _ timeout: Milliseconds?) throws(ConnectFailure) -> CInt {
        let socket = try ConnectFailure.check(path, clinux_unix_stream_socket(timeout == nil))
        do throws(ConnectFailure) {
            if let timeout {
                var time = timeval(tv_sec: Int(timeout.count / 1000), tv_usec: Int(timeout.count % 1000) * 1000)
                _ = try ConnectFailure.check(
                    path,
                    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
                )
            }
            let result = retryingOnInterrupt { Int(clinux_connect_unix(socket, path, path.utf8.count)) }
            _ = try ConnectFailure.check(path, CInt(result))
            // Nothing but connecting may block.
            _ = try ConnectFailure.check(path, fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK))
            return socket
        } catch {
            close(socket)
            throw error
        }
    }

    /// Writes as many bytes of `message` as the socket takes, and with the first of them its descriptor; returns how many, or `nil` if it takes none any more.
    ///
    /// Does not block.
    func send(_ message: OutputQueue.Message) -> Int? {
        let descriptors = message.descriptor.map { [$0.number] } ?? []
        let count = message.bytes.withUnsafeBytes { bytes in
            retryingOnInterrupt { clinux_send(socket, bytes.baseAddress, bytes.count, descriptors, descriptors.count) }
        }
        if count >= 0 { return count }
        return errno == EAGAIN ? 0 : nil
    }

    /// What a read brought.
    enum Input {
        case bytes([UInt8])
        case nothing
        case end(problem: String)
    }

    /// How many bytes are read at a time.
    private static let inputSize = 16 * 1024

    /// Reads what is there.
    ///
    /// Does not block.
    func receive() -> Input {
        var number: CInt = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.inputSize) { buffer, count in
            let result = retryingOnInterrupt { recv(socket, buffer.baseAddress, buffer.count, 0) }
            number = result == -1 ? errno : 0
            count = max(0, result)
        }
        if !bytes.isEmpty { return .bytes(bytes) }
        switch number {
        case EAGAIN: return .nothing
        // A daemon that ends with requests unread leaves a reset.
        case 0, ECONNRESET: return .end(problem: "it has closed the connection")
        default: return .end(problem: String(cString: strerror(number)))
        }
    }

    /// Sleeps until there is something to read, if `reads`, or, if `isFull`, the socket takes bytes again, or `deadline` is reached, or `wakeUp` is rung.
    func wait(
        reads: Bool = true,
        isFull: Bool,
        until deadline: MonotonicInstant?,
        _ wakeUp: WakeUp
    ) -> (isReadable: Bool, isWritable: Bool) {
        let watched = Int16((reads ? POLLIN : 0) | (isFull ? POLLOUT : 0))
        // Of a socket that is watched for nothing, poll() would still tell that it has ended, again and again.
        var descriptors = [pollfd(fd: watched == 0 ? -1 : socket, events: watched, revents: 0)]
        guard wakeUp.poll(&descriptors, until: deadline) else { return (false, false) }
        let isWritable = isFull && descriptors[0].revents & Int16(POLLOUT) != 0
        return (descriptors[0].revents & ~Int16(POLLOUT) != 0, isWritable)
    }

    /// Ends the connection on both sides.
    ///
    /// A forked child may have inherited the socket, so that closing it here would not end anything.
    func shutDown() {
        shutdown(socket, CInt(SHUT_RDWR))
    }
}

/// The result of a system call, again and again while a signal interrupts it.
private func retryingOnInterrupt(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result != -1 || errno != EINTR { return result }
    }
}

extension MonotonicInstant {
    /// What CLOCK_MONOTONIC says.
    static func now() -> MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
