/// A value that one thread at a time can touch.
///
/// Made of a pthread mutex and not of `Synchronization.Mutex`, which on Linux (Swift 6.3) hands over inside of the kernel where the thread sanitizer does not
/// see it: under contention it would report races that are none, and hide those that are.
///
/// Sendable although the compiler cannot check it: the value is Sendable, and ``withLock(_:)`` is the only way to it.
final class Guarded<Value: Sendable>: @unchecked Sendable {
    private let mutex = SystemMutex()
    private var value: Value

    init(_ value: Value) { self.value = value }

    deinit { mutex.destroy() }

    /// Makes the thread sanitizer see that whatever was done in ``withLock(_:)`` before comes before what follows.
    ///
    /// To be called behind a continuation: one that was resumed before it was awaited hands over without anything that the sanitizer sees.
    func seeChanges() { withLock { _ in } }

    /// Calls `body` with the value, while no other thread is in here.
    ///
    /// `body` must not come here again.
    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        mutex.lock()
        defer { mutex.unlock() }
        return try body(&value)
    }
}
