extension UInt64 {
    /// A number in which every bit depends on all bits of this one, and on the seed.
    ///
    /// Multiplication by 2^64 divided by the golden ratio spreads neighbours (Knuth, The Art of Computer Programming, volume 3, 6.4); the
    /// shift brings the best bits down to where a hash table looks. No guard against keys that somebody chose to collide.
    package func mixed(with seed: Int) -> Int {
        let product = (self ^ UInt64(bitPattern: Int64(seed))) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: product ^ product >> 32)
    }
}
