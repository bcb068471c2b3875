import LockdModel

/// The leases that have ended last, of each lock.
///
/// A lock gets a ring of places when the first lease on it ends, and keeps it, so that nothing has to be found or made from then on. Once there are no more
/// rings, one has to be given up. To keep them in the order of the last end would cost more than all the rest, so they are in the order in which they
/// were given out, and one that was written to since it was looked at goes to the back once.
struct History: Sendable {
    /// How many places a ring has: a power of two, so that it costs no division to see where one ends.
    let ringSize: Int
    private let ringLimit: Int
    private let textLimit: Int
    /// The places of all rings, one ring after the other.
    ///
    /// Where nothing has been written yet is a placeholder.
    var holds: [Hold] = []
    /// How many bytes the texts in all places have.
    private(set) var textByteCount = 0
    private(set) var rings = Slab<HoldRing>()
    /// The rings that are in use, in the order in which they are to be looked at.
    private(set) var order = SlotList<HoldRing>()

    init(_ limits: Limits) {
        ringSize = limits.holdsPerName
        ringLimit = limits.holds / limits.holdsPerName
        textLimit = limits.holdTextBytes
        precondition(ringSize.nonzeroBitCount == 1, "\(ringSize) holds of a name are not a power of two")
        precondition(ringLimit > 0, "no name has a history if no more than \(limits.holds) holds are remembered")
    }

    /// Whether a lock can have a ring before another one has given up its own.
    var hasRoom: Bool { rings.count < ringLimit }

    /// Whether a lock has to give up its ring.
    var hasTooMuchText: Bool { textByteCount > textLimit && rings.count > 1 }

    /// Makes a ring for `lock`, on which the lease with this token has ended, and says which place is the first.
    mutating func makeRing(for lock: Int, first: FencingToken) -> Int {
        let ring = rings.insert(HoldRing(lock: lock, seenToken: first))
        if ring * ringSize == holds.count { holds.append(contentsOf: repeatElement(.placeholder, count: ringSize)) }
        order.append(ring, in: &rings)
        return ring * ringSize
    }

    /// Says whose the hold at `place` was, and what they said of themselves.
    mutating func setTexts(at place: Int, _ peer: Peer, _ note: Text?) {
        textByteCount -= holds[place].textByteCount
        (holds[place].peer, holds[place].note) = (peer, note)
        textByteCount += holds[place].textByteCount
    }

    /// What is in a ring, the one at `latest` first.
    func holds(upTo latest: Int) -> [Hold] {
        let first = latest - latest % ringSize
        let all = holds[first...latest].reversed() + holds[(latest + 1)..<(first + ringSize)].reversed()
        return all.filter { $0 != .placeholder }
    }

    /// Forgets the ring of which `place` is one, and what is in it.
    mutating func removeRing(of place: Int) {
        let ring = place / ringSize
        for place in ring * ringSize..<(ring + 1) * ringSize {
            textByteCount -= holds[place].textByteCount
            holds[place] = .placeholder
        }
        order.remove(ring, in: &rings)
        rings.remove(at: ring)
    }

    /// Sends the first ring to the back if it was written to since it was looked at last, or `anyhow`; says whether.
    mutating func passOver(_ ring: Int, latest: Int, anyhow: Bool) -> Bool {
        let token = holds[latest].token
        if rings[ring].seenToken == token, !anyhow { return false }
        rings[ring].seenToken = token
        order.remove(ring, in: &rings)
        order.append(ring, in: &rings)
        return true
    }
}
