/// The bytes of a name that needs no escapes, where somebody else keeps them: what a ``LockName`` can be found by without making one.
public struct PlainName {
    /// The name, and its canonical spelling; valid as long as the memory that they were found in.
    public let bytes: UnsafeRawBufferPointer
    package let fingerprint: Fingerprint

    /// The name that `bytes` are as they stand, if they are one.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard (1...LockName.maximumByteCount).contains(bytes.count), bytes.arePlainInNames else {
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
    /// Whether all of these stand for themselves in a name, as ``ByteSet/plainInNames`` says; looks at eight at a time.
    fileprivate var arePlainInNames: Bool {
        var index = 0
        while index + 8 <= count {
            if !Self.arePlainInNames(loadUnaligned(fromByteOffset: index, as: UInt64.self)) { return false }
            index += 8
        }
        while index < count {
            if !ByteSet.plainInNames.contains(self[index]) { return false }
            index += 1
        }
        return true
    }

    /// The same of eight bytes: in each of the sums below, the top bit of a byte tells whether that is one that does not.
    @inline(__always)
    private static func arePlainInNames(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones << 7
        // With its top bit set, no byte borrows from the next one.
        func isBelow(_ byte: UInt64, _ word: UInt64) -> UInt64 { ~((word | tops) &- byte &* ones) }
        func isEqual(to byte: UInt64) -> UInt64 { isBelow(1, word ^ byte &* ones) }
        // 0x7F is the one byte without top bit that has it when one is added.
        let isOutside = word | (word &+ ones) | isBelow(0x21, word)
        let isSpecial = isEqual(to: UInt64(UInt8(ascii: "#"))) | isEqual(to: UInt64(UInt8(ascii: "%")))
        return (isOutside | isSpecial | isEqual(to: UInt64(UInt8(ascii: "=")))) & tops == 0
    }

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
