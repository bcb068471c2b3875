import CLinux
import Glibc
import LockdModel

/// Where a log means something: the boot of the machine and the pid namespace that its numbers are from.
struct LogOrigin: Hashable {
    /// The kernel's random number of the boot, as text.
    let boot: UInt64
    /// A second half of it.
    let bootRest: UInt64
    /// The namespace that process numbers are from.
    let pidNamespace: UInt64

    init(boot: UInt64, bootRest: UInt64, pidNamespace: UInt64) {
        (self.boot, self.bootRest, self.pidNamespace) = (boot, bootRest, pidNamespace)
    }

    /// Where this process runs.
    ///
    /// - Throws: ``SystemError`` if the kernel does not say.
    static func current() throws -> LogOrigin {
        let path = "/proc/sys/kernel/random/boot_id"
        guard let text = ProcessStatus.read(path, limit: 64) else { throw SystemError("read \(path)") }
        let digits = text.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 32 else {
            errno = EINVAL
            throw SystemError("read \(path)")
        }
        let halves = [digits[..<16], digits[16...]].map { $0.reduce(UInt64(0)) { $0 << 4 | UInt64($1) } }
        var status = stat()
        _ = try check("stat /proc/self/ns/pid") { stat("/proc/self/ns/pid", &status) }
        return LogOrigin(boot: halves[0], bootRest: halves[1], pidNamespace: UInt64(status.st_ino))
    }

    func write(to memory: LogMemory, capacity: Int) {
        memory.store(LogLayout.magic, at: LogLayout.Fixed.magic)
        memory.store(LogLayout.version, at: LogLayout.Fixed.version)
        memory.store(boot, at: LogLayout.Fixed.boot)
        memory.store(bootRest, at: LogLayout.Fixed.boot + 8)
        memory.store(pidNamespace, at: LogLayout.Fixed.pidNamespace)
        memory.store(UInt64(capacity), at: LogLayout.Fixed.capacity)
        let fixed = UnsafeRawBufferPointer(rebasing: memory.bytes[..<LogLayout.Fixed.checksum])
        memory.store(LogChecksum.of(fixed, at: 0), at: LogLayout.Fixed.checksum)
    }
}
