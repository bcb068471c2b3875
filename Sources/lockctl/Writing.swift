import ArgumentParser
import Glibc
import LockdClient
import LockdModel

/// Writes all of it, for somebody who relies on its being there.
///
/// What `print` has written may have come to nothing, because the disk is full, and nobody is told.
func write(_ bytes: UnsafeRawBufferPointer, to descriptor: CInt) throws {
    var start = 0
    while start < bytes.count {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
        let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
            complain("the output cannot be written: \(String(cString: strerror(errno)))")
            throw Ending.notWritten
        }
        start += count
    }
}

/// The same of bytes in an array.
func write(_ bytes: [UInt8], to descriptor: CInt) throws {
    try bytes.withUnsafeBytes { try write($0, to: descriptor) }
}

/// What a program says at length: it is written in large pieces, as one that reads it through a pipe is best served.
struct Output: ~Copyable {
    private let descriptor: CInt
    /// What is not written yet.
    private var bytes = ByteBuffer()

    private static let pieceByteCount = 256 * 1024

    init(to descriptor: CInt) { self.descriptor = descriptor }

    /// Adds what `write` writes.
    mutating func add(_ write: (inout ByteBuffer) -> Void) throws {
        write(&bytes)
        if bytes.count >= Self.pieceByteCount { try end() }
    }

    /// Writes what there is still.
    mutating func end() throws {
        try bytes.withBytes { try write($0, to: descriptor) }
        bytes.cut(to: 0)
    }
}

/// Writes a text, unless nobody reads it: what is to be done must not wait for long for what is said.
///
/// A pipe that has room at all takes 4096 bytes at once without waiting (PIPE_BUF), so no more than that is written at a time.
func write(_ text: String, to descriptor: CInt) {
    var rest = Array(text.utf8)[...]
    let deadline = MonotonicInstant.now() + .seconds(1)
    while !rest.isEmpty {
        let left = CInt(clamping: (deadline - .now()).count)
        var stream = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&stream, 1, left) == 1 else { return }
        let part = rest.prefix(4096)
        let count = part.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
