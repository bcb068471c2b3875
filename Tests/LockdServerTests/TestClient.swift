import CLinux
import CUnix
import Foundation

@testable import LockdServer

/// A client with a blocking socket of its own, in this process.
final class TestClient {
    private let descriptor: CInt
    private var received: [UInt8] = []
    private var hasSeenEnd = false
    private var isClosed = false

    init(connectingTo path: String) throws {
        descriptor = try check("socket") { cunix_stream_socket(false) }
        _ = try check("connect \(path)") { cunix_connect(descriptor, path, path.utf8.count) }
    }

    deinit {
        close()
    }

    func send(_ text: String) throws {
        try send(text.transcriptBytes)
    }

    func send(_ bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            start += try bytes[start...].withUnsafeBytes { rest in
                try check("send") { Glibc.send(descriptor, rest.baseAddress, rest.count, CInt(MSG_NOSIGNAL)) }
            }
        }
    }

    /// Sends text and, with its first byte, descriptors, which stay the caller's.
    func send(_ text: String, with descriptors: [CInt]) throws {
        try LockdServerTests.send(text, with: descriptors, to: descriptor)
    }

    func shutDown() throws {
        _ = try check("shutdown") { shutdown(descriptor, CInt(SHUT_WR)) }
    }

    func close() {
        if !isClosed { Glibc.close(descriptor) }
        isClosed = true
    }

    /// The next line or the end, if it is there.
    func next() -> Received? {
        while !isClosed {
            if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
                defer { received.removeSubrange(...end) }
                return .line(String(decoding: received[..<end], as: UTF8.self))
            }
            if hasSeenEnd { return nil }
            var buffer = [UInt8](repeating: 0, count: 65536)
            let count = recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
            if count == -1 && errno == EAGAIN { return nil }
            if count <= 0 {
                hasSeenEnd = true
                return .end
            }
            received += buffer[..<count]
        }
        return nil
    }

    /// The next line, after waiting for it, but not for ever; nothing if the stream has ended.
    func awaitLine(within milliseconds: CInt = 20_000) -> String? {
        while true {
            switch next() {
            case .line(let line)?: return line
            case .end?: return nil
            case nil:
                var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard retryingOnInterrupt({ poll(&entry, 1, milliseconds) }) == 1 else { return nil }
            }
        }
    }
}
