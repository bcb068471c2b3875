import CUnix
package import LockdModel

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// What the client asks of the system it runs on: the one Swift file that imports its C library.
///
/// What differs between systems is behind CUnix. Descriptors belong to whoever passes them in, and a call that a signal interrupts is made again, unless it says
/// otherwise.
package enum System {
    /// The values of `errno` that mean something here.
    enum ErrorNumber {
        static let accessDenied = EACCES
        static let connectionReset = ECONNRESET
        static let interrupted = EINTR
        static let nameTooLong = ENAMETOOLONG
        static let noSuchProcess = ESRCH
        static let notPermitted = EPERM
        static let tooManyFiles = EMFILE
        static let tooManyFilesOfAll = ENFILE
        static let tryAgain = EAGAIN
    }

    /// The number of this process.
    static var process: Int32 { getpid() }

    /// Why the last call of this thread failed; to be asked before anything else is called.
    static var errorNumber: CInt { errno }

    /// What an error number means, for a person.
    static func message(of number: CInt) -> String { String(cString: strerror(number)) }

    /// The environment variable `name`; nothing if it is empty.
    static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value[0] != 0 else { return nil }
        return String(cString: value)
    }

    /// The directory that the process is in; `nil`, with an ``errorNumber``, if that cannot be found.
    static func currentDirectory() -> String? {
        guard let directory = getcwd(nil, 0) else { return nil }
        defer { free(directory) }
        return String(cString: directory)
    }

    static func close(_ descriptor: CInt) {
        #if canImport(Darwin)
            Darwin.close(descriptor)
        #elseif canImport(Musl)
            Musl.close(descriptor)
        #else
            Glibc.close(descriptor)
        #endif
    }

    /// Ends a connection in both directions, for every process that has the socket.
    static func shutDown(_ socket: CInt) { shutdown(socket, CInt(SHUT_RDWR)) }

    /// How many bytes were written, -1 if it failed; it fails if there is no room, unless it `waits` for that.
    static func send(
        _ bytes: UnsafeRawBufferPointer,
        along descriptors: [CInt],
        to socket: CInt,
        waits: Bool = false
    ) -> Int {
        retryingOnInterrupt {
            cunix_send(socket, bytes.baseAddress, bytes.count, descriptors, descriptors.count, waits)
        }
    }

    /// How many bytes were read, -1 if it failed; it fails if there is nothing, unless it `waits` for that.
    static func receive(into buffer: UnsafeMutableRawBufferPointer, from socket: CInt, waits: Bool = false) -> Int {
        retryingOnInterrupt { cunix_receive(socket, buffer.baseAddress, buffer.count, waits) }
    }

    /// The result of a system call, again and again while a signal interrupts it.
    static func retryingOnInterrupt(_ call: () -> Int) -> Int {
        while true {
            let result = call()
            if result != -1 || errno != EINTR { return result }
        }
    }

    /// What a socket is ready for; one that has ended is readable.
    struct Readiness {
        var isReadable = false
        var isWritable = false
    }

    /// Sleeps until `socket` is readable, if it `reads`, or writable, if it `writes`, or `bell` is rung, or `deadline` is reached, or a signal has been handled.
    ///
    /// - Parameter bell: a descriptor that becomes readable; -1 for none.
    static func wait(
        for socket: CInt,
        reads: Bool = true,
        writes: Bool = false,
        or bell: CInt = -1,
        until deadline: MonotonicInstant?
    ) -> (of: Readiness, isRung: Bool) {
        let watched = Int16((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))
        // Of a socket that is watched for nothing, poll() would still tell that it has ended, again and again.
        let first = pollfd(fd: watched == 0 ? -1 : socket, events: watched, revents: 0)
        var descriptors = (first, pollfd(fd: bell, events: Int16(POLLIN), revents: 0))
        let count = withUnsafeMutableBytes(of: &descriptors) { bytes in
            poll(bytes.assumingMemoryBound(to: pollfd.self).baseAddress, 2, milliseconds(until: deadline))
        }
        guard count > 0 else { return (Readiness(), false) }
        let (socketEvents, bellEvents) = (descriptors.0.revents, descriptors.1.revents)
        let isWritable = writes && socketEvents & Int16(POLLOUT) != 0
        return (
            Readiness(isReadable: socketEvents & ~Int16(POLLOUT) != 0, isWritable: isWritable), bellEvents != 0
        )
    }

    /// In the unit of poll(), -1 for ever; rounded up, because a deadline that is not yet reached would be waited for again.
    package static func milliseconds(until deadline: MonotonicInstant?) -> CInt {
        guard let deadline else { return -1 }
        let nanoseconds = max(0, deadline.nanoseconds - MonotonicInstant.now().nanoseconds)
        return CInt(clamping: (nanoseconds + 999_999) / 1_000_000)
    }
}

extension MonotonicInstant {
    /// What CLOCK_MONOTONIC says.
    package static func now() -> MonotonicInstant { MonotonicInstant(nanoseconds: cunix_now()) }
}

/// The mutex of ``Guarded``.
///
/// It is on the heap because a mutex must not be moved, and destroyed by ``destroy()`` only.
struct SystemMutex: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<pthread_mutex_t>

    init() {
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: pthread_mutex_t())
        let result = pthread_mutex_init(pointer, nil)
        precondition(result == 0, "pthread_mutex_init: \(result)")
    }

    func lock() { pthread_mutex_lock(pointer) }

    func unlock() { pthread_mutex_unlock(pointer) }

    func destroy() {
        pthread_mutex_destroy(pointer)
        pointer.deallocate()
    }
}

/// What one thread at a time sleeps on, with a mutex.
struct SystemCondition: @unchecked Sendable {
    private let pointer: UnsafeMutablePointer<pthread_cond_t>

    init() {
        pointer = .allocate(capacity: 1)
        pointer.initialize(to: pthread_cond_t())
        let result = cunix_condition_make(pointer)
        precondition(result == 0, "pthread_cond_init: \(result)")
    }

    func signal() { pthread_cond_signal(pointer) }

    /// Leaves the mutex, sleeps until it is signalled, or until `deadline`, or for no reason, and comes back into the mutex.
    func wait(_ mutex: SystemMutex, until deadline: MonotonicInstant?) {
        cunix_condition_wait(pointer, mutex.pointer, (deadline ?? .distantFuture).nanoseconds)
    }

    func destroy() {
        pthread_cond_destroy(pointer)
        pointer.deallocate()
    }
}
