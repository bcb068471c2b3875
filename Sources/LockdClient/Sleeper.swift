import LockdModel

/// What one thread sleeps on until another one wakes it.
///
/// Sendable although the compiler cannot check it: what it stores is changed under its mutex only.
final class Sleeper: @unchecked Sendable {
    private let mutex = SystemMutex()
    private let condition = SystemCondition()
    private var isWoken = false

    deinit {
        condition.destroy()
        mutex.destroy()
    }

    /// Ends the sleep that there is, or else the next one.
    func wake() {
        mutex.lock()
        isWoken = true
        mutex.unlock()
        condition.signal()
    }

    /// Sleeps until it is woken, or `deadline` is reached.
    func sleep(until deadline: MonotonicInstant?) {
        mutex.lock()
        defer { mutex.unlock() }
        while !isWoken, deadline.map({ $0 > .now() }) ?? true { condition.wait(mutex, until: deadline) }
        isWoken = false
    }
}
