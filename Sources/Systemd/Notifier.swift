import CLinux
import CUnix
import Glibc
public import LockdModel

/// Tells systemd how the service is doing, and hands descriptors over to it.
///
/// Nothing here blocks but ``flush(waitingAtMost:)``: sd_notify(3) would, because the socket takes few messages at a time, and a process that waits
/// for systemd serves nobody. What does not fit is kept, at most ``queueLimit`` messages, and goes out in its order; until then ``wantsOutput`` is true, and
/// ``flush()`` is to be called when ``descriptor`` can be written to. Only the latest status counts, so only that is kept.
/// Not thread-safe: one thread owns it.
public final class Notifier {
    /// What has become of a message.
    public enum Outcome: Hashable, Sendable {
        /// There is nobody to tell: the process was not started by systemd, or not as a service that notifies.
        case unsupported
        /// systemd has it, and will read it.
        case sent
        /// It is kept until systemd has read others.
        case queued
        /// It could not be sent, and is given up; what `errno` said.
        case failed(CInt)

        /// The words for it, if it failed.
        public var problem: String? {
            if case .failed(let number) = self { String(cString: strerror(number)) } else { nil }
        }
    }

    /// How many messages are kept: there are few, and each takes some microseconds of systemd's time.
    public static let queueLimit = 256
    /// How many descriptors go along with one message: the kernel's limit.
    public static let descriptorsPerMessage = Int(CLINUX_DESCRIPTORS_MAXIMUM)

    /// The socket that the messages go into, to be watched for output while ``wantsOutput``; `nil` if there is nobody to tell.
    ///
    /// It stays the same, and this owns it.
    public let descriptor: CInt?

    private let name: String
    private var isConnected = false
    /// What must arrive, in its order, with copies of its descriptors.
    private var queue: [Notice] = []
    private var status: Notice?
    private var owesKeepAlive = false
    /// Why something that was kept has been given up, if nobody was told yet.
    private var failure: CInt?

    /// Tells the one that `$NOTIFY_SOCKET` names, or nobody.
    ///
    /// - Throws: ``SystemdError`` if that is not a Unix socket, or there is no descriptor for one.
    public convenience init() throws {
        try self.init(socketName: getenv("NOTIFY_SOCKET").map { String(cString: $0) })
    }

    /// Tells the one that listens at `socketName`: a path, or `@` and an abstract name.
    public init(socketName: String?) throws {
        name = socketName ?? ""
        guard let socketName, !socketName.isEmpty else {
            descriptor = nil
            return
        }
        let room = Int(cunix_path_maximum())
        guard ["/", "@"].contains(socketName.first), (2...room).contains(socketName.utf8.count) else {
            throw SystemdError(
                "NOTIFY_SOCKET=\(socketName) is not a Unix socket; lockd needs a path, or @ and a name, of at most \(room) bytes"
            )
        }
        let socket = clinux_unix_datagram_socket()
        guard socket != -1 else { throw SystemdError("socket for NOTIFY_SOCKET", errno) }
        descriptor = socket
    }

    deinit {
        for notice in queue { Self.close(notice.descriptors) }
        if let descriptor { Glibc.close(descriptor) }
    }

    /// Whether messages wait for ``descriptor`` to become writable.
    public var wantsOutput: Bool { !queue.isEmpty || status != nil || owesKeepAlive }

    /// Starting up is over, or reloading is.
    public func ready(status: String) -> Outcome { submit(.ready(status: status)) }

    /// Reloading begins now, behind the request for it; ``ready(status:)`` says that it is over.
    public func reloading() -> Outcome { submit(.reloading(at: Self.now())) }

    /// The service is about to end.
    public func stopping(status: String) -> Outcome { submit(.stopping(status: status)) }

    /// What goes on takes so long from now, but not longer; for starting, reloading and stopping.
    public func extendTimeout(by length: Milliseconds) -> Outcome { submit(.extendTimeout(by: length)) }

    /// What `systemctl status` is to show: one line, cut behind 1024 bytes.
    ///
    /// It takes the place of one that waits to be sent. The outcome is that of ``flush()``.
    public func status(_ text: String) -> Outcome {
        status = descriptor == nil ? nil : .status(text)
        return flush()
    }

    /// The service is alive, see ``Watchdog``.
    ///
    /// The outcome is that of ``flush()``.
    public func keepAlive() -> Outcome {
        owesKeepAlive = descriptor != nil
        return flush()
    }

    /// Has systemd keep copies of these descriptors for the next process of the service, under a name that begins with
    /// ``ListenDescriptors/storedPrefix``.
    ///
    /// The caller's stay open and are the caller's. They are in one message for every ``descriptorsPerMessage`` of them; if this fails, some may have been
    /// stored already.
    public func store(_ descriptors: [CInt], as name: String) -> Outcome {
        var outcome = Outcome.sent
        for start in stride(from: 0, to: descriptors.count, by: Self.descriptorsPerMessage) {
            outcome = submit(.store(descriptors[start...].prefix(Self.descriptorsPerMessage), as: name))
            if case .failed = outcome { return outcome }
        }
        return descriptor == nil ? .unsupported : outcome
    }

    /// Has systemd close what it keeps under this name.
    public func removeStored(_ name: String) -> Outcome { submit(.removeStored(name)) }

    /// Asks for a sign that systemd has worked off everything that was sent before.
    ///
    /// - Returns: a descriptor, the caller's, that hangs up (and so becomes readable, at its end) when that is so; at once, if there is nobody to tell.
    /// - Throws: ``SystemdError`` if the question cannot be put.
    public func barrier() throws -> CInt {
        var ends: [CInt] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw SystemdError("pipe2", errno) }
        let outcome = submit(.barrier(ends[1]))
        Glibc.close(ends[1])
        if case .failed(let number) = outcome {
            Glibc.close(ends[0])
            throw SystemdError("cannot ask systemd for a barrier", number)
        }
        return ends[0]
    }

    /// Sends as much of what waits as the socket takes.
    ///
    /// - Returns: ``Outcome/failed(_:)`` once for whatever was given up since the last call, with the latest reason; the rest has gone on.
    @discardableResult
    public func flush() -> Outcome {
        guard descriptor != nil else { return .unsupported }
        drain()
        if let number = failure {
            failure = nil
            return .failed(number)
        }
        return wantsOutput ? .queued : .sent
    }

    /// The same, and waits until the socket has taken it all, but no longer than that: for a process that is about to end.
    @discardableResult
    public func flush(waitingAtMost length: Milliseconds) -> Outcome {
        guard let descriptor else { return .unsupported }
        let end = Self.now() + length
        drain()
        while wantsOutput {
            let left = end - Self.now()
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            // What is less than a millisecond is not waited for.
            if left.count == 0 || poll(&entry, 1, CInt(clamping: left.count)) == 0 { break }
            drain()
        }
        return flush()
    }

    private func drain() {
        while wantsOutput {
            let number = transmit(next)
            if number == EAGAIN { return }
            if number != 0 { failure = number }
            dropNext()
        }
    }

    private static func now() -> MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    private var next: Notice {
        if let first = queue.first { return first }
        return owesKeepAlive ? .keepAlive : status ?? .keepAlive
    }

    private func dropNext() {
        if !queue.isEmpty {
            Self.close(queue.removeFirst().descriptors)
        } else if owesKeepAlive {
            owesKeepAlive = false
        } else {
            status = nil
        }
    }

    /// Sends what must arrive, or keeps it behind what waits.
    private func submit(_ notice: Notice) -> Outcome {
        guard descriptor != nil else { return .unsupported }
        drain()
        if queue.isEmpty {
            let number = transmit(notice)
            if number == 0 { return .sent }
            if number != EAGAIN { return .failed(number) }
        }
        guard queue.count < Self.queueLimit else { return .failed(ENOBUFS) }
        var kept = notice
        kept.descriptors = []
        for descriptor in notice.descriptors {
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
            guard copy != -1 else {
                let number = errno
                Self.close(kept.descriptors)
                return .failed(number)
            }
            kept.descriptors.append(copy)
        }
        queue.append(kept)
        return .queued
    }

    /// Hands a message to the kernel; returns 0 or an error number, EAGAIN if there is no room.
    private func transmit(_ notice: Notice) -> CInt {
        guard let descriptor else { return ENOTCONN }
        let wasConnected = isConnected
        if !isConnected {
            guard clinux_connect_by_name(descriptor, name, name.utf8.count) == 0 else { return errno }
            isConnected = true
        }
        var text = notice.text
        let count = text.withUTF8 { bytes in
            while true {
                let count = cunix_send(
                    descriptor,
                    bytes.baseAddress,
                    bytes.count,
                    notice.descriptors,
                    notice.descriptors.count,
                    false
                )
                if count != -1 || errno != EINTR { return count }
            }
        }
        if count != -1 { return 0 }
        let number = errno
        guard [ECONNREFUSED, ECONNRESET, ENOTCONN, EPIPE].contains(number) else { return number }
        // The one that listened is gone. Another one may listen at the same place.
        isConnected = false
        return wasConnected ? transmit(notice) : number
    }

    private static func close(_ descriptors: [CInt]) {
        for descriptor in descriptors { Glibc.close(descriptor) }
    }
}
