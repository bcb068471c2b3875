import CLinux
import Glibc

/// A thread of the client's own, outside of Swift's cooperative pool: a program that blocks every thread of that pool keeps its leases.
enum ReaderThread {
    private final class Work {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// It calls a few functions deep and holds one buffer; the 8 MiB of address space that are usual would be a waste.
    private static let stackSize = 512 * 1024

    /// Runs `body` on a new thread, which takes no signals: they belong to the program.
    ///
    /// Returns 0, or the error number if there can be no further thread.
    static func start(_ body: @escaping @Sendable () -> Void) -> CInt {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackSize)

        // A thread begins with the mask of the one that makes it.
        var everySignal = sigset_t()
        var former = sigset_t()
        sigfillset(&everySignal)
        pthread_sigmask(SIG_SETMASK, &everySignal, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }

        let work = Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let result = pthread_create(&thread, &attributes, run, work.toOpaque())
        if result != 0 { work.release() }
        return result
    }

    private static let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { work in
        if let work { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }
        return nil
    }
}
