import LockdModel

/// Numbers for the log, as small as can be, of what is known by the number of a session: what leases are bound to, sessions that have ended.
struct SessionNumbering {
    private var slots: [SessionID: Int] = [:]
    private var ids: [SessionID?] = []
    private var free: [Int] = []

    /// Who has a slot.
    subscript(slot: Int) -> SessionID? { slot < ids.count ? ids[slot] : nil }

    /// The slot of `id`, a new one if it has none.
    mutating func insert(_ id: SessionID) -> Int {
        if let slot = slots[id] { return slot }
        let slot = free.popLast() ?? ids.count
        if slot == ids.count { ids.append(id) } else { ids[slot] = id }
        slots[id] = slot
        return slot
    }

    /// Takes the slot of `id` back, if it has one.
    mutating func remove(_ id: SessionID) -> Int? {
        guard let slot = slots.removeValue(forKey: id) else { return nil }
        ids[slot] = nil
        free.append(slot)
        return slot
    }
}
