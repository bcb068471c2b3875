import CLinux
import Glibc

/// Reading a small text file whole.
enum TextFile {
    /// No configuration is larger.
    private static let maximumByteCount = 1 << 20

    /// The text of the file at `path`.
    ///
    /// - Throws: ``SettingsProblem`` if it cannot be read, or is larger than a megabyte, or is no UTF-8.
    static func read(_ path: String) throws -> String {
        // Of a pipe whose other end nobody has, fopen(3) would wait for somebody.
        let descriptor = clinux_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        var status = stat()
        guard descriptor != -1, fstat(descriptor, &status) == 0, let file = fdopen(descriptor, "r") else {
            throw SettingsProblem("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        guard [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) else { throw SettingsProblem("\(path) is no file") }
        let bytes = [UInt8](unsafeUninitializedCapacity: maximumByteCount + 1) { buffer, count in
            count = fread(buffer.baseAddress, 1, maximumByteCount + 1, file)
        }
        guard ferror(file) == 0 else {
            throw SettingsProblem("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        guard bytes.count <= maximumByteCount else { throw SettingsProblem("\(path) is larger than a megabyte") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsProblem("\(path) has bytes that are no UTF-8")
        }
        return text
    }
}
