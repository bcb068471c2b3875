import Glibc

/// Reading a small text file whole.
enum TextFile {
    /// No configuration is larger.
    private static let maximumByteCount = 1 << 20

    /// The text of the file at `path`.
    ///
    /// - Throws: ``SettingsProblem`` if it cannot be read, or is larger than a megabyte.
    static func read(_ path: String) throws -> String {
        guard let file = fopen(path, "re") else {
            throw SettingsProblem("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        let bytes = [UInt8](unsafeUninitializedCapacity: maximumByteCount + 1) { buffer, count in
            count = fread(buffer.baseAddress, 1, maximumByteCount + 1, file)
        }
        guard ferror(file) == 0 else {
            throw SettingsProblem("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        guard bytes.count <= maximumByteCount else { throw SettingsProblem("\(path) is larger than a megabyte") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
