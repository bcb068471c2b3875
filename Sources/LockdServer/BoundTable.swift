import LockdModel

/// What a lease or a wait is bound to, unique within this run of the daemon.
struct BoundID: Hashable {
    fileprivate let slot: Int
    fileprivate let generation: UInt32
}

/// The descriptors that leases and waits are bound to, and word of the end of what they stand for.
final class BoundTable {
    private struct Entry {
        let bound: BoundDescriptor
        let generation: UInt32
        /// Epoll has it in its set.
        var isWatched = true
    }

    /// How many there may be.
    let limit: Int
    private let epoll: Epoll
    private let loose: LooseDescriptors
    private var slots: [Entry?] = []
    private var freeSlots: [Int] = []
    private var lastGeneration: UInt32 = 0

    init(limit: Int, epoll: Epoll, loose: LooseDescriptors) {
        self.limit = limit
        self.epoll = epoll
        self.loose = loose
    }

    var count: Int { slots.count - freeSlots.count }
    var isFull: Bool { count >= limit }

    /// Takes a descriptor over and watches it.
    ///
    /// There must be room, see ``isFull``.
    ///
    /// - Throws: ``SystemError`` if the kernel has no memory to watch it with; then it is the caller's still.
    func insert(_ bound: BoundDescriptor) throws -> BoundID {
        precondition(!isFull, "\(limit) descriptors are bound already")
        let slot = freeSlots.last ?? slots.count
        let id = BoundID(slot: slot, generation: lastGeneration &+ 1)
        try epoll.add(bound.descriptor, bound.kind.interest, EpollKey(.bound, slot: slot, generation: id.generation))
        lastGeneration = id.generation
        if freeSlots.popLast() == nil { slots.append(nil) }
        slots[slot] = Entry(bound: bound, generation: id.generation)
        return id
    }

    /// What is there under a number, until it is released.
    subscript(id: BoundID) -> BoundDescriptor? { entry(id)?.bound }

    /// What epoll says has ended, unless it was released meanwhile or that is known already.
    ///
    /// It is not watched any longer, so that the loop does not spin until it is released.
    func takeEnded(_ key: EpollKey) -> BoundID? {
        let id = BoundID(slot: key.slot, generation: key.generation)
        guard let entry = entry(id), entry.isWatched else { return nil }
        epoll.remove(entry.bound.descriptor)
        slots[id.slot]?.isWatched = false
        return id
    }

    /// Gives a descriptor up; nothing happens if that was done already.
    func release(_ id: BoundID) {
        guard let entry = entry(id) else { return }
        if entry.isWatched { epoll.remove(entry.bound.descriptor) }
        slots[id.slot] = nil
        freeSlots.append(id.slot)
        loose.add(1, of: entry.bound.user)
        loose.close(entry.bound.descriptor, of: entry.bound.user)
    }

    /// Gives all of them up.
    func releaseAll() {
        for (slot, entry) in slots.enumerated() {
            if let entry { release(BoundID(slot: slot, generation: entry.generation)) }
        }
    }

    private func entry(_ id: BoundID) -> Entry? {
        guard let entry = slots[id.slot], entry.generation == id.generation else { return nil }
        return entry
    }
}

extension Binding {
    /// What epoll is to tell of, besides what it always does.
    fileprivate var interest: Epoll.Interest {
        switch self {
        case .pidfd: .input
        // The end of the last writer is a hang-up, of which epoll always tells. What is written into the pipe is nobody's concern.
        case .pipe: []
        }
    }
}
