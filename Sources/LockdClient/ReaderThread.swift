import CUnix

/// A thread of the client's own, outside of Swift's cooperative pool: a program that blocks every thread of that pool keeps its leases.
enum ReaderThread {
    private final class Work {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on a new thread, which takes no signals: they belong to the program.
    ///
    /// Returns 0, or the error number if there can be no further thread.
    static func start(_ body: @escaping @Sendable () -> Void) -> CInt {
        let work = Unmanaged.passRetained(Work(body))
        let result = cunix_start_thread(run, work.toOpaque())
        if result != 0 { work.release() }
        return result
    }

    private static let run: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { work in
        if let work { Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body() }
        return nil
    }
}
