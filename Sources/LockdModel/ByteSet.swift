/// A set of byte values, kept as a bitmap.
struct ByteSet: Sendable {
    /// Bit N stands for byte N.
    private let low: UInt64
    /// Bit N stands for byte 64 + N; no byte above 0x7F is in any set.
    private let high: UInt64

    // As literals, because the compiler then needs no code to make them when they are first used.

    /// The bytes that stand for themselves in a text: visible ASCII, `!` to `~`, except `%`.
    static let plainInTexts = ByteSet(low: 0xFFFF_FFDE_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF)
    /// The bytes that stand for themselves in a name: those of texts, except `#` and `=`.
    static let plainInNames = ByteSet(low: 0xDFFF_FFD6_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF)
    /// The characters of tags: letters, digits, `.`, `_`, `-`, `:`.
    static let tagCharacters = ByteSet(low: 0x07FF_6000_0000_0000, high: 0x07FF_FFFE_87FF_FFFE)

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        (byte < 64 ? low : high) &>> UInt64(byte) & 1 == 1 && byte < 128
    }

    /// Whether all of `bytes` are in the set.
    @inline(__always)
    func containsAll(_ bytes: UnsafeRawBufferPointer) -> Bool {
        for byte in bytes where !contains(byte) { return false }
        return true
    }
}
