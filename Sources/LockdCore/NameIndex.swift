import LockdModel

/// Finds locks by their names.
///
/// By the fingerprint of the name first, so that whoever has only the bytes of a name need not make a ``LockName`` of them. The few names
/// with equal fingerprints, if there ever are any, are linked.
struct NameIndex: Sendable {
    private var firstSlots: [Fingerprint: Int] = [:]
    private(set) var count = 0

    /// The lock on a name of which only the bytes are at hand.
    func slot(of name: PlainName, in locks: inout Slab<Lock>) -> Int? {
        var slot = firstSlots[name.fingerprint]
        while let found = slot, !locks[found].name.isSpelled(name.bytes) { slot = locks[found].nextWithSameFingerprint }
        return slot
    }

    /// The lock on `name`.
    func slot(of name: LockName, in locks: inout Slab<Lock>) -> Int? {
        var slot = firstSlots[name.fingerprint]
        while let found = slot, locks[found].name != name { slot = locks[found].nextWithSameFingerprint }
        return slot
    }

    /// Makes room for so many names in all.
    mutating func reserveCapacity(_ count: Int) { firstSlots.reserveCapacity(count) }

    /// Adds the lock in `slot`, whose name must not be there.
    mutating func insert(_ slot: Int, in locks: inout Slab<Lock>) {
        locks[slot].nextWithSameFingerprint = firstSlots.updateValue(slot, forKey: locks[slot].name.fingerprint)
        count += 1
    }

    /// Removes the lock in `slot`, which must be there.
    mutating func remove(_ slot: Int, in locks: inout Slab<Lock>) {
        let next = locks[slot].nextWithSameFingerprint
        let fingerprint = locks[slot].name.fingerprint
        if firstSlots[fingerprint] == slot {
            firstSlots[fingerprint] = next
        } else {
            var before = firstSlots[fingerprint]
            while let place = before, locks[place].nextWithSameFingerprint != slot {
                before = locks[place].nextWithSameFingerprint
            }
            guard let before else { preconditionFailure("\(locks[slot].name) is not in the index") }
            locks[before].nextWithSameFingerprint = next
        }
        count -= 1
    }
}
