import CLinux
import CUnix
import Foundation
import Glibc
import Testing

/// The place of PID 1: a datagram socket that the test reads.
final class NotifySocket {
    let name: String
    private var descriptor: CInt
    private let directory: String

    /// What came with one message.
    struct Message: Equatable {
        let lines: [String]
        let descriptors: [CInt]
    }

    /// At a path in a directory of its own, or under an abstract name.
    init(isAbstract: Bool = false) throws {
        var template = Array("/tmp/lockd-notify-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        name = isAbstract ? "@" + directory : directory + "/notify"
        descriptor = try Self.listen(at: name)
    }

    /// Closes it, with all that was not read; its file stays.
    func stop() {
        if descriptor != -1 { close(descriptor) }
        descriptor = -1
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The socket that the next process of systemd would have, in the place of one that is closed.
    static func listen(at name: String) throws -> CInt {
        let socket = clinux_unix_datagram_socket()
        try #require(socket != -1)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, length) }
        }
        try #require(result == 0, "bind: \(String(cString: strerror(errno)))")
        return socket
    }

    /// The next message, if there is one.
    func read() -> Message? { Self.read(descriptor) }

    static func read(_ descriptor: CInt) -> Message? {
        var buffer = [UInt8](repeating: 0, count: 8192)
        var descriptors = [CInt](repeating: -1, count: Int(CLINUX_DESCRIPTORS_MAXIMUM))
        var count = 0
        let length = clinux_receive(descriptor, &buffer, buffer.count, &descriptors, &count)
        guard length >= 0 else { return nil }
        let lines = String(decoding: buffer[..<length], as: UTF8.self).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        return Message(lines: lines.map(String.init), descriptors: Array(descriptors[..<count]))
    }

    /// The lines of all messages that there are.
    func readAll() -> [[String]] {
        var all: [[String]] = []
        while let message = read() {
            all.append(message.lines)
            message.descriptors.forEach { close($0) }
        }
        return all
    }

    /// Sends messages of somebody else's, until there is room for none.
    func fill() throws -> Int {
        let socket = clinux_unix_datagram_socket()
        defer { close(socket) }
        try #require(clinux_connect_by_name(socket, name, name.utf8.count) == 0)
        var count = 0
        while cunix_send(socket, "other", 5, nil, 0, false) == 5 { count += 1 }
        try #require(errno == EAGAIN)
        return count
    }
}

/// Whether a descriptor is open.
func isOpen(_ descriptor: CInt) -> Bool { fcntl(descriptor, F_GETFD) != -1 }

/// Whether two descriptors stand for the same file.
func areSameFile(_ left: CInt, _ right: CInt) -> Bool {
    var (one, other) = (stat(), stat())
    return fstat(left, &one) == 0 && fstat(right, &other) == 0 && one.st_ino == other.st_ino
        && one.st_dev == other.st_dev
}
