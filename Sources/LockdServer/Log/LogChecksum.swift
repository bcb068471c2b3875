/// A number made of bytes and of where they stand, in which every change of eight bytes shows.
///
/// Each step is reversible, so two runs of words that differ in one of them never come out the same; others do with a chance of 1 in 2^64.
/// It guards against what was written by half or damaged, not against somebody who means harm: the file is the daemon's alone.
enum LogChecksum {
    // The constants of SplitMix64 (Steele, Lea and Flood, 2014).
    private static let factor: UInt64 = 0xBF58_476D_1CE4_E5B9
    private static let seed: UInt64 = 0x94D0_49BB_1331_11EB

    /// The checksum of bytes that are at `position`; their number is a multiple of eight.
    static func of(_ bytes: UnsafeRawBufferPointer, at position: UInt64) -> UInt64 {
        var state = seed ^ position
        var offset = 0
        guard let start = bytes.baseAddress else { return state }
        while offset < bytes.count {
            state = (state ^ start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* factor
            state ^= state >> 31
            offset += 8
        }
        return state
    }
}
