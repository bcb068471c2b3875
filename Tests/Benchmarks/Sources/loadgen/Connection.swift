import Glibc

/// A connection to the server: whole batches out, whole lines in.
struct Connection {
    /// Room for the replies to the deepest batch, at most 60 bytes each, and for any error.
    private static let capacity = 128 * 1024

    let descriptor: Int32
    /// When the last bytes were sent.
    private(set) var sentAt: UInt64 = 0
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 16)
    /// Where in ``input`` the bytes are that have been received and not returned as lines.
    private var unread = 0..<0

    /// Connects to the Unix stream socket at `path`.
    ///
    /// The connection lives as long as the process.
    init(to path: String) throws {
        descriptor = try connectedSocket(to: path)
    }

    /// Sends `bytes` in one write.
    ///
    /// All earlier requests have been answered or wait in the server, so a socket buffer without room for them is a mistake in the sizes.
    mutating func send(_ bytes: [UInt8]) throws {
        sentAt = Clock.now()
        let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count >= 0 else { throw LoadError.system("send") }
        guard count == bytes.count else { throw LoadError("the socket took only \(count) of \(bytes.count) bytes") }
    }

    /// Reads once what the server has sent.
    mutating func receive() throws {
        input.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[unread]))
        unread = 0..<unread.count
        guard unread.count < input.count else { throw LoadError("a reply of more than \(input.count) bytes") }
        let count = read(descriptor, input.baseAddress?.advanced(by: unread.count), input.count - unread.count)
        guard count != 0 else { throw LoadError("the server closed the connection") }
        guard count > 0 || errno == EAGAIN || errno == EINTR else { throw LoadError.system("read") }
        unread = 0..<(unread.count + max(0, count))
    }

    /// The next complete line of what was received, without its LF, or `nil` if there is none.
    ///
    /// It is valid until ``receive()``.
    mutating func nextLine() -> UnsafeRawBufferPointer? {
        let bytes = UnsafeRawBufferPointer(rebasing: input[unread])
        guard let start = bytes.baseAddress, let newline = memchr(start, 0x0A, bytes.count) else { return nil }
        let length = UnsafeRawPointer(newline) - start
        unread = (unread.lowerBound + length + 1)..<unread.upperBound
        return UnsafeRawBufferPointer(rebasing: bytes[..<length])
    }
}
