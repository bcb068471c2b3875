import CLinux
import Glibc
import LockdModel

/// What ends the sleep of a thread before its time.
///
/// May be rung from any thread.
final class WakeUp: Sendable {
    let descriptor: CInt

    /// - Throws: ``ConnectFailure``, about the socket at `path`, if this process has too many descriptors.
    init(for path: String) throws(ConnectFailure) {
        descriptor = try ConnectFailure.check(path, eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK)))
    }

    deinit { close(descriptor) }

    /// Ends the sleep that there is, or else the next one.
    func ring() { eventfd_write(descriptor, 1) }

    /// Sleeps until it is rung, or `deadline` is reached.
    func sleep(until deadline: MonotonicInstant?) {
        var descriptors: [pollfd] = []
        poll(&descriptors, until: deadline)
    }

    /// Waits for what is in `descriptors` too; returns what the kernel says of them.
    ///
    /// Interrupted or not: who waits looks again at what it waits for.
    @discardableResult
    func poll(_ descriptors: inout [pollfd], until deadline: MonotonicInstant?) -> Bool {
        descriptors.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        defer { descriptors.removeLast() }
        let count = nfds_t(descriptors.count)
        guard Glibc.poll(&descriptors, count, Self.milliseconds(until: deadline)) > 0 else { return false }
        if descriptors[descriptors.count - 1].revents != 0 {
            var count: eventfd_t = 0
            eventfd_read(descriptor, &count)
        }
        return true
    }

    /// In the unit of poll(), rounded up: a deadline that is not yet reached would be waited for again.
    static func milliseconds(until deadline: MonotonicInstant?) -> CInt {
        guard let deadline else { return -1 }
        let nanoseconds = max(0, deadline.nanoseconds - MonotonicInstant.now().nanoseconds)
        return CInt(clamping: (nanoseconds + 999_999) / 1_000_000)
    }
}
