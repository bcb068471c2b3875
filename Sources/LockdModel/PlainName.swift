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
        guard count >= 8 else { return ByteSet.plainInNames.containsAll(self) }
        var index = 0
        while index < count - 8 {
            if !Self.arePlainInNames(eight(from: index)) { return false }
            index += 8
        }
        // The last eight: some of them for the second time.
        return Self.arePlainInNames(eight(from: count - 8))
    }

    /// The eight bytes from `index` on.
    @inline(__always)
    func eight(from index: Int) -> UInt64 { loadUnaligned(fromByteOffset: index, as: UInt64.self) }

    /// The same of eight bytes: the top bit of a byte of each sum below tells whether that byte of the word is at least so large, unless it has a top bit itself.
    @inline(__always)
    private static func arePlainInNames(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones << 7
        // Only a byte with a top bit carries over into the next one, and then the word is not plain, whatever is found in that.
        func isAtLeast(_ byte: UInt64, _ word: UInt64) -> UInt64 { word &+ (0x80 - byte) &* ones }
        func differs(from byte: UInt8) -> UInt64 { isAtLeast(1, word ^ UInt64(byte) &* ones) }
        let isInside = isAtLeast(0x21, word) & ~(word | isAtLeast(0x7F, word))
        let isOrdinary = differs(from: UInt8(ascii: "#")) & differs(from: UInt8(ascii: "%"))
        return isInside & isOrdinary & differs(from: UInt8(ascii: "=")) & tops == tops
    }

    /// Whether both are the same bytes; compares eight at a time.
    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard count >= 8 else { return elementsEqual(other) }
        var index = 0
        while index < count - 8 {
            if eight(from: index) != other.eight(from: index) { return false }
            index += 8
        }
        return eight(from: count - 8) == other.eight(from: count - 8)
    }
}
