import LockdModel

/// The accounts of all users that there is something of, by slot.
struct Users: Sendable {
    private var accounts = Slab<User>()
    private(set) var slots: [UserID: Int] = [:]
    /// The account that was used last: as it is here, and not as it is in the slab.
    ///
    /// Nearly always it is used again next, and what is not in an array is changed in half the time.
    private var latest: User
    private var latestSlot = Self.none

    private static let none = -1

    init(limits: Limits) {
        latest = User(.root, limits: limits)
    }

    /// The account in `slot`.
    subscript(slot: Int) -> User {
        @inline(__always) mutating get {
            if slot != latestSlot { bringUp(slot) }
            return latest
        }
        @inline(__always) _modify {
            if slot != latestSlot { bringUp(slot) }
            yield &latest
        }
    }

    /// The slot of the account of a user that has one more session.
    mutating func addSession(of user: UserID, limits: Limits) -> Int {
        let slot = slot(of: user, limits: limits)
        addSession(ofUserAt: slot)
        return slot
    }

    mutating func addSession(ofUserAt slot: Int) { self[slot].sessionCount += 1 }

    /// Takes note that a session is gone, and all of its leases.
    mutating func removeSession(ofUserAt slot: Int) {
        self[slot].sessionCount -= 1
        forgetIfGone(slot)
    }

    /// Takes note of how many bytes are buffered for a user's sessions.
    mutating func setBuffered(_ count: Int, for user: UserID, limits: Limits) {
        precondition(count >= 0, "\(count) bytes are buffered for user \(user)")
        let slot = slot(of: user, limits: limits)
        self[slot].setBuffered(count)
        forgetIfGone(slot)
    }

    /// Leaves each user as much more or less as its limits are more or less.
    mutating func change(from former: Limits, to limits: Limits) {
        if latestSlot != Self.none { accounts[latestSlot] = latest }
        latestSlot = Self.none
        for slot in accounts.occupiedSlots { accounts[slot].change(from: former, to: limits) }
    }

    /// The accounts that there are, by slot.
    var all: [Int: User] {
        let slots = accounts.occupiedSlots
        return Dictionary(uniqueKeysWithValues: slots.map { ($0, $0 == latestSlot ? latest : accounts[$0]) })
    }

    private mutating func slot(of user: UserID, limits: Limits) -> Int {
        if let slot = slots[user] { return slot }
        let slot = accounts.insert(User(user, limits: limits))
        slots[user] = slot
        return slot
    }

    private mutating func forgetIfGone(_ slot: Int) {
        guard self[slot].isGone else { return }
        slots[self[slot].id] = nil
        accounts.remove(at: slot)
        latestSlot = Self.none
    }

    @inline(never)
    private mutating func bringUp(_ slot: Int) {
        if latestSlot != Self.none { accounts[latestSlot] = latest }
        (latest, latestSlot) = (accounts[slot], slot)
    }
}
