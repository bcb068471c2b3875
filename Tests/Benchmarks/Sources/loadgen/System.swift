import CEpoll
import Glibc

/// Why a measurement is worth nothing.
struct LoadError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// The system call that failed, with the reason that `errno` gives.
    static func system(_ call: String) -> Self { Self("\(call): \(String(cString: strerror(errno)))") }

    /// The server did not answer as it must.
    static func wrongReply(_ line: UnsafeRawBufferPointer, expected: String) -> Self {
        Self("wrong reply: \"\(String(decoding: line, as: UTF8.self))\" instead of \"\(expected)\"")
    }
}

/// Readings of the clocks, in nanoseconds.
enum Clock {
    /// CLOCK_MONOTONIC.
    static func now() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// How long this process has been on a CPU.
    static func cpuTime() -> UInt64 { read(CLOCK_PROCESS_CPUTIME_ID) }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// A socket that is connected to the Unix stream socket at `path` and does not block.
func connectedSocket(to path: String) throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let capacity = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < capacity else {
        throw LoadError("the path of a socket has at most \(capacity - 1) bytes, this one \(path.utf8.count): \(path)")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw LoadError.system("socket") }
    let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    guard status == 0 else { throw LoadError.system("connect to \(path)") }
    guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { throw LoadError.system("fcntl") }
    return descriptor
}

/// Which connections have something to read.
struct Poller {
    /// A server that is silent for so long while requests are open has lost one.
    private static let patienceMilliseconds: Int32 = 10_000

    private let descriptor: Int32
    private var ready = [epoll_event](repeating: epoll_event(), count: 256)

    init() throws {
        descriptor = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard descriptor >= 0 else { throw LoadError.system("epoll_create1") }
    }

    /// From now on ``forEachReady(_:)`` speaks of `socket` as `index`.
    func add(_ socket: Int32, as index: Int) throws {
        var event = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: UInt64(index)))
        guard epoll_ctl(descriptor, EPOLL_CTL_ADD, socket, &event) == 0 else { throw LoadError.system("epoll_ctl") }
    }

    /// Waits until a connection is ready and calls `body` for each that is.
    mutating func forEachReady(_ body: (Int) throws -> Void) throws {
        let count = epoll_wait(descriptor, &ready, Int32(ready.count), Self.patienceMilliseconds)
        guard count >= 0 || errno == EINTR else { throw LoadError.system("epoll_wait") }
        guard count != 0 else { throw LoadError("no reply for \(Self.patienceMilliseconds / 1000) s") }
        for index in 0..<Int(max(0, count)) {
            try body(Int(ready[index].data.u64))
        }
    }
}
