/// Turns bytes into numbers, so that equal bytes can be found fast.
///
/// Each eight bytes are multiplied into a number of 128 bits whose halves are mixed. The factors are made from the secret that the standard
/// library keeps for its own hashes in this process: who does not know it cannot choose bytes that collide.
package struct Fingerprint: Hashable, Sendable {
    private let value: UInt64

    init(value: UInt64) { self.value = value }

    private static let secrets = (seed: secret(1), factor: secret(2) | 1)

    /// The fingerprint of `bytes`.
    package init(of bytes: UnsafeRawBufferPointer) {
        let (seed, factor) = Self.secrets
        var state = seed ^ UInt64(truncatingIfNeeded: bytes.count)
        var index = 0
        while index + 8 < bytes.count {
            state = Self.mix(state ^ bytes.eight(from: index), factor)
            index += 8
        }
        // Those that are left; where there are eight to be read, together with some before them.
        let last = bytes.count >= 8 ? bytes.eight(from: bytes.count - 8) : bytes.reduce(0) { $0 << 8 | UInt64($1) }
        value = Self.mix(Self.mix(state ^ last, factor), seed)
    }

    /// The hash for dictionaries: a fingerprint is one already, and keyed.
    package func _rawHashValue(seed: Int) -> Int { Int(truncatingIfNeeded: value) ^ seed }

    private static func secret(_ number: Int) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(number)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }

    private static func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }
}
