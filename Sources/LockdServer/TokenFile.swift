import CLinux
import Glibc

/// The file that remembers which fencing tokens may have been granted.
///
/// It holds one line, `lockd-tokens 1 N` padded to a fixed length: every token that was ever granted is at most N. It is written in place, less
/// than a sector at a time, and flushed to the disk before any token of a new block is granted.
public struct TokenFile: Sendable {
    private static let magic = "lockd-tokens 1 "
    private static let byteCount = 64

    private let path: String

    /// The token file in the directory `directory`, which exists.
    public init(directory: String) {
        path = directory + "/tokens"
    }

    /// Why the tokens could not be read.
    public enum Problem: Error, Hashable, Sendable, CustomStringConvertible {
        /// The file is not what this program writes.
        case damaged(path: String)

        /// What is wrong and what to do about it.
        public var description: String {
            switch self {
            case .damaged(let path):
                "\(path) is not a lockd token file; move it away, and tokens go on from the wall clock"
            }
        }
    }

    /// Reserves the next block of `count` tokens, and returns them.
    ///
    /// The first of them is larger than every token reserved before through this file, and no smaller than `floor`, which should be the wall
    /// clock in microseconds: so even when the directory was wiped, tokens go on increasing unless the clock was set back too.
    public func reserve(_ count: UInt64, atLeast floor: UInt64) throws -> ClosedRange<UInt64> {
        let descriptor = try check("open \(path)") { clinux_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) }
        defer { close(descriptor) }
        let former = try read(descriptor)
        let first = max((former ?? 0) + 1, floor)
        let block = first...(first + count - 1)
        try write(block.upperBound, to: descriptor)
        // A new file is on the disk only when its directory entry is. It need not be new to be so if a try before this one has failed.
        try flushDirectory()
        return block
    }

    /// The largest token that was ever reserved, or nothing if the file is new.
    private func read(_ descriptor: CInt) throws -> UInt64? {
        let bytes = try [UInt8](unsafeUninitializedCapacity: Self.byteCount + 1) { buffer, count in
            count = try check("read \(path)") { pread(descriptor, buffer.baseAddress, Self.byteCount + 1, 0) }
        }
        if bytes.isEmpty { return nil }
        let digits = bytes.dropFirst(Self.magic.utf8.count).prefix { $0 != UInt8(ascii: " ") }
        guard let value = UInt64(String(decoding: digits, as: UTF8.self)), bytes == Self.line(value),
            // Far beyond any clock: nothing that was written here, and no room to go on from.
            value < 1 << 62
        else { throw Problem.damaged(path: path) }
        return value
    }

    private static func line(_ value: UInt64) -> [UInt8] {
        var line = Array((magic + String(value)).utf8)
        line += Array(repeating: UInt8(ascii: " "), count: byteCount - 1 - line.count)
        line.append(UInt8(ascii: "\n"))
        return line
    }

    private func write(_ value: UInt64, to descriptor: CInt) throws {
        let line = Self.line(value)
        let written = try check("write \(path)") { pwrite(descriptor, line, line.count, 0) }
        guard written == line.count else {
            errno = ENOSPC
            throw SystemError("write \(path)")
        }
        _ = try check("fsync \(path)") { fsync(descriptor) }
    }

    private func flushDirectory() throws {
        let directory = String(path.dropLast("/tokens".count))
        let descriptor = try check("open \(directory)") {
            clinux_open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        }
        defer { close(descriptor) }
        _ = try check("fsync \(directory)") { fsync(descriptor) }
    }
}
