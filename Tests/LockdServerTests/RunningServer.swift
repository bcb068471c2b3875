import CLinux
import Foundation
import LockdCore
import LockdModel
import Logging

@testable import LockdServer

/// A ``Server`` at work on a thread of its own, in a directory of its own, with a clock that stands still until it is moved.
final class RunningServer: @unchecked Sendable {
    let directory: TemporaryDirectory
    let server: Server
    private let clock: SteppedClock
    private let hasEnded = DispatchSemaphore(value: 0)
    private let thread = Locked<pid_t>(0)

    var socketPath: String { directory.path + "/lockd.sock" }

    /// A server in this directory, if there is one, whose connections outlive it, if there is a store.
    init(
        limits: Limits = Limits(),
        in existing: TemporaryDirectory? = nil,
        store: (any DescriptorStore)? = nil,
        kept: [(name: String, descriptor: CInt)] = []
    ) throws {
        let directory = try existing ?? TemporaryDirectory()
        let clock = SteppedClock()
        self.directory = directory
        self.clock = clock
        server = try Server(
            configuration: ServerConfiguration(
                socketPath: directory.path + "/lockd.sock",
                socketMode: 0o600,
                stateDirectory: directory.path,
                limits: limits,
                version: "0.0.0"
            ),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            store: store,
            kept: kept,
            clock: { clock.read() }
        )
        let server = Unchecked(server)
        clock.observe(
            wake: { server.value.wake() },
            isIdle: { now in
                server.value.service.table.checkInvariants()
                let isDue = server.value.service.nextDeadline.map { $0 <= now } ?? false
                return !server.value.service.hasRunnableSessions && !isDue
            }
        )
        let thread = Thread { [hasEnded, thread = self.thread] in
            thread.withLock { $0 = CLibrary.gettid() }
            do { try server.value.run() } catch { fatalError("the server has failed: \(error)") }
            hasEnded.signal()
        }
        thread.start()
    }

    /// Waits until the server has done everything about what was sent, closed or connected before.
    func settle() {
        clock.awaitTurns()
    }

    /// Whether the server's thread is in the kernel and waits for something to happen.
    private var isAsleep: Bool {
        let path = "/proc/self/task/\(thread.withLock { $0 })/syscall"
        guard let line = try? String(contentsOfFile: path, encoding: .utf8) else { return true }
        // Of a thread that is at work, or about to be, it says that it runs.
        return !line.hasPrefix("running")
    }

    /// Moves the clock.
    func advance(_ length: Milliseconds) {
        // A wake-up that was not needed any more would cost the server one more turn, some time, in which it would notice that.
        var count: eventfd_t = 0
        while eventfd_read(server.wakeUp, &count) == 0 {}
        while !isAsleep { sched_yield() }
        clock.advance(length)
    }

    func stop() {
        server.stop()
        hasEnded.wait()
        // The server has the clock and the clock has the server: nobody would ever free them.
        clock.observe(wake: {}, isIdle: { _ in true })
    }

    private struct Unchecked<Value>: @unchecked Sendable {
        let value: Value

        init(_ value: Value) { self.value = value }
    }
}

/// A clock that stands still until it is moved, and that counts the turns of the server that reads it.
private final class SteppedClock: Sendable {
    private struct State {
        var now = MonotonicInstant(nanoseconds: 0)
        var readingsToGo = 0
        var wake: @Sendable () -> Void = {}
        var isIdle: @Sendable (MonotonicInstant) -> Bool = { _ in true }
    }

    private let state = Locked(State())
    private let turnsAreOver = DispatchSemaphore(value: 0)
    /// A turn reads the clock once behind its wait, and perhaps once before.
    ///
    /// So these span two whole turns at least: in the first, what happened before is read and answered.
    private static let readings = 8

    func observe(wake: @escaping @Sendable () -> Void, isIdle: @escaping @Sendable (MonotonicInstant) -> Bool) {
        state.withLock { state in
            state.wake = wake
            state.isIdle = isIdle
        }
    }

    /// What the server reads, on its thread.
    func read() -> MonotonicInstant {
        let (state, isLast) = state.withLock { state in
            let isLast = state.readingsToGo == 1
            if state.readingsToGo > 0 { state.readingsToGo -= 1 }
            return (state, isLast)
        }
        if isLast {
            if state.isIdle(state.now) {
                turnsAreOver.signal()
            } else {
                self.state.withLock { $0.readingsToGo = 1 }
            }
        }
        return state.now
    }

    func advance(_ length: Milliseconds) {
        state.withLock { $0.now = $0.now + length }
    }

    /// Waits until the server has taken whole turns and has nothing left to do.
    func awaitTurns() {
        let wake = state.withLock { state in
            state.readingsToGo = Self.readings
            return state.wake
        }
        // A turn may swallow any wake-up that comes before its end, so there must be more until all are over.
        repeat { wake() } while turnsAreOver.wait(timeout: .now()) == .timedOut
    }
}

/// A value that one thread at a time can look at.
///
/// Not a `Mutex`: the thread sanitizer does not see how that hands over from one thread to the next, and reports races that are none.
private final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        lock.withLock { body(&value) }
    }
}

/// A directory that is there as long as this is.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/lockd-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}
