/// The bytes of a name that needs no escapes, where somebody else keeps them: what a ``LockName`` can be found by without making one.
public struct PlainName {
    /// The name, and its canonical spelling; valid as long as the memory that they were found in.
    public let bytes: UnsafeRawBufferPointer
    package let fingerprint: Fingerprint

    /// The name that `bytes` are as they stand, if they are one.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard (1...LockName.maximumByteCount).contains(bytes.count), ByteSet.plainInNames.containsAll(bytes) else {
            return nil
        }
        self.init(bytes: bytes, fingerprint: Fingerprint(of: bytes))
    }

    init(bytes: UnsafeRawBufferPointer, fingerprint: Fingerprint) {
        self.bytes = bytes
        self.fingerprint = fingerprint
    }
}

extension UnsafeRawBufferPointer {
    /// Whether both are the same bytes; compares eight at a time.
    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        var index = 0
        while index + 8 <= count {
            let ours = loadUnaligned(fromByteOffset: index, as: UInt64.self)
            if ours != other.loadUnaligned(fromByteOffset: index, as: UInt64.self) { return false }
            index += 8
        }
        while index < count {
            if self[index] != other[index] { return false }
            index += 1
        }
        return true
    }
}
