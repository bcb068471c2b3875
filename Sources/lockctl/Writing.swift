import ArgumentParser
import Glibc

/// Writes all of it, for somebody who relies on its being there.
///
/// What `print` has written may have come to nothing, because the disk is full, and nobody is told.
func write(_ bytes: [UInt8], to descriptor: CInt) throws {
    var start = 0
    while start < bytes.count {
        let count = bytes[start...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
            complain("the output cannot be written: \(String(cString: strerror(errno)))")
            throw Ending.notWritten
        }
        start += count
    }
}
