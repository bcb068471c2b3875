import CLinux
import Glibc

/// A file that is mapped into memory: what is stored there outlives the process, however that ends.
///
/// It does not outlive the machine: nothing is ever flushed.
final class LogMemory {
    let base: UnsafeMutableRawPointer
    let bytes: UnsafeMutableRawBufferPointer
    private(set) var path: String

    /// Makes a file in place of the one that is at `path`, if any, all zeros.
    ///
    /// Its memory is taken before it is used: of a file system that is full, the kernel could tell a write to memory only by a signal.
    ///
    /// - Throws: ``SystemError``, with ENOSPC if there is no room for so many bytes; then there is no file at `path`.
    init(creating path: String, byteCount: Int) throws {
        self.path = path
        unlink(path)
        let descriptor = try check("open \(path)") {
            clinux_open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        }
        defer { close(descriptor) }
        do {
            let error = posix_fallocate(descriptor, 0, off_t(byteCount))
            guard error == 0 else {
                errno = error
                throw SystemError("allocate \(byteCount) bytes for \(path)")
            }
            let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
            guard let start, start != MAP_FAILED else { throw SystemError("map \(path)") }
            base = start
            bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
        } catch {
            unlink(path)
            throw error
        }
    }

    /// Maps the file at `path`, a log that was found to be one.
    ///
    /// - Throws: ``SystemError`` if that cannot be done.
    init(opening path: String) throws {
        self.path = path
        let descriptor = try check("open \(path)") { clinux_open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0) }
        defer { close(descriptor) }
        var status = stat()
        _ = try check("stat \(path)") { fstat(descriptor, &status) }
        let byteCount = Int(status.st_size)
        let start = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let start, start != MAP_FAILED else { throw SystemError("map \(path)") }
        base = start
        bytes = UnsafeMutableRawBufferPointer(start: start, count: byteCount)
    }

    deinit {
        munmap(base, bytes.count)
    }

    /// Puts the file in the place of the one at `newPath`, in one step.
    func rename(to newPath: String) throws {
        _ = try check("rename \(path) to \(newPath)") { Glibc.rename(path, newPath) }
        path = newPath
    }

    /// Removes the file; what is mapped stays until the end of this object.
    func remove() { unlink(path) }

    subscript(field: LogLayout.Field) -> UInt64 {
        @inline(__always) get { base.load(fromByteOffset: field.rawValue, as: UInt64.self) }
        // Whoever maps the file finds everything that was stored before this.
        @inline(__always) set { publish(newValue, at: field.rawValue) }
    }

    /// Stores a number that says something of what was stored before.
    @inline(__always)
    func publish(_ value: UInt64, at offset: Int) {
        precondition(offset >= 0 && offset <= bytes.count - 8, "beyond the file")
        clinux_store_release((base + offset).assumingMemoryBound(to: UInt64.self), value)
    }

    func store(_ value: UInt64, at offset: Int) { bytes.storeBytes(of: value, toByteOffset: offset, as: UInt64.self) }
}
