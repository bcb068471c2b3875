import CLinux
import Glibc
import LockdModel

/// The descriptors of one connection: its socket, and what wakes the thread that reads it.
///
/// One thread receives and waits, one at a time sends; anybody may wake it or shut it down. The descriptors are closed when the last of them has let go
/// of it, so nobody ever uses a descriptor that has become somebody else's.
final class Transport: Sendable {
    private let socket: CInt
    private let wakeUp: CInt

    /// Connects to the daemon at `path`.
    ///
    /// Blocks while the daemon's backlog is full, for `timeout` at most: the kernel tells when there is room, so nothing is tried again and again.
    init(path: String, timeout: Milliseconds) throws(ConnectFailure) {
        let wakeUp = try ConnectFailure.check(path, eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK)))
        do throws(ConnectFailure) {
            socket = try Self.connect(path, timeout)
        } catch {
            close(wakeUp)
            throw error
        }
        self.wakeUp = wakeUp
    }

    deinit {
        close(socket)
        close(wakeUp)
    }

    private static func connect(_ path: String, _ timeout: Milliseconds) throws(ConnectFailure) -> CInt {
        let socket = try ConnectFailure.check(path, clinux_unix_stream_socket(false))
        do throws(ConnectFailure) {
            var time = timeval(tv_sec: Int(timeout.count / 1000), tv_usec: Int(timeout.count % 1000) * 1000)
            _ = try ConnectFailure.check(
                path,
                setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
            )
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

    /// Sleeps until there is something to read, if `reads`, or, if `isFull`, the socket takes bytes again, or `deadline` is reached, or ``wake()`` is called.
    func wait(
        reads: Bool = true,
        isFull: Bool,
        until deadline: MonotonicInstant?
    ) -> (isReadable: Bool, isWritable: Bool) {
        let watched = Int16((reads ? POLLIN : 0) | (isFull ? POLLOUT : 0))
        // Of a socket that is watched for nothing, poll() would still tell that it has ended, again and again.
        var descriptors = [
            pollfd(fd: watched == 0 ? -1 : socket, events: watched, revents: 0),
            pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0),
        ]
        // Interrupted or not: who waits looks again at what it waits for.
        guard poll(&descriptors, nfds_t(descriptors.count), Self.milliseconds(until: deadline)) > 0 else {
            return (false, false)
        }
        if descriptors[1].revents != 0 {
            var count: eventfd_t = 0
            eventfd_read(wakeUp, &count)
        }
        let isWritable = isFull && descriptors[0].revents & Int16(POLLOUT) != 0
        return (descriptors[0].revents & ~Int16(POLLOUT) != 0, isWritable)
    }

    /// In the unit of poll(), rounded up: a deadline that is not yet reached would be waited for again.
    private static func milliseconds(until deadline: MonotonicInstant?) -> CInt {
        guard let deadline else { return -1 }
        let nanoseconds = max(0, deadline.nanoseconds - MonotonicInstant.now().nanoseconds)
        return CInt(clamping: (nanoseconds + 999_999) / 1_000_000)
    }

    /// Makes ``wait(reads:isFull:until:)`` return.
    func wake() {
        eventfd_write(wakeUp, 1)
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
