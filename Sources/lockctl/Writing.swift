import ArgumentParser
import Glibc

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
