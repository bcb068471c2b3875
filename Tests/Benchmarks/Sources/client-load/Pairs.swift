import Glibc
import LockdClient

/// How long an uncontended acquire and release takes.
enum Pairs {
    private static let warmUp = 30

    /// Calls `pair` again and again, and says how long it took each time.
    private static func measure(_ seconds: Double, _ pair: () throws -> Void) throws -> [Figure] {
        for _ in 0..<warmUp { try pair() }
        var taken: [UInt64] = []
        var start = Clock.now()
        let end = start + UInt64(seconds * 1e9)
        repeat {
            try pair()
            let now = Clock.now()
            taken.append(now - start)
            start = now
        } while start < end
        return try Figure.latencies(taken)
    }

    /// The lines of the protocol on a blocking socket, and nothing else.
    static func ofRawSocket(_ path: String, _ seconds: Double) throws -> [Figure] {
        let socket = RawSocket()
        try socket.connect(to: path)
        return try measure(seconds) {
            try socket.ask("ACQUIRE raw\n", beginning: "GRANTED ")
            try socket.ask("RELEASE raw\n", beginning: "RELEASED ")
        }
    }

    static func ofBlockingClient(_ path: String, _ seconds: Double) throws -> [Figure] {
        let client = BlockingLockdClient(socket: path)
        return try measure(seconds) { try client.acquire("blocking").release() }
    }

    static func ofClient(_ path: String, _ seconds: Double) async throws -> [Figure] {
        let client = LockdClient(socket: path)
        for _ in 0..<warmUp { try await client.acquire("task").release() }
        var taken: [UInt64] = []
        var start = Clock.now()
        let end = start + UInt64(seconds * 1e9)
        repeat {
            try await client.acquire("task").release()
            let now = Clock.now()
            taken.append(now - start)
            start = now
        } while start < end
        return try Figure.latencies(taken)
    }
}

/// A blocking socket, which shares no code with the library.
private final class RawSocket {
    private let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    private var buffer = [UInt8](repeating: 0, count: 4096)

    deinit { close(descriptor) }

    func connect(to path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw LoadError("\(path) is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw LoadError.system("connect") }
    }

    /// One line there and one back.
    func ask(_ line: StaticString, beginning: StaticString) throws {
        guard send(descriptor, line.utf8Start, line.utf8CodeUnitCount, Int32(MSG_NOSIGNAL)) == line.utf8CodeUnitCount
        else { throw LoadError.system("send") }
        var count = 0
        repeat {
            let read = buffer.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress?.advanced(by: count), $0.count - count, 0)
            }
            guard read > 0 else { throw LoadError.system("recv") }
            count += read
        } while buffer[count - 1] != 0x0A
        guard memcmp(buffer, beginning.utf8Start, beginning.utf8CodeUnitCount) == 0 else {
            throw LoadError("wrong reply: \(String(decoding: buffer[..<count], as: UTF8.self))")
        }
    }
}
