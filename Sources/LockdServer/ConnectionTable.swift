import LockdModel

/// The open connections, by slot, as epoll names them, and by session.
final class ConnectionTable {
    private var slots: [Connection?] = []
    private var freeSlots: [Int] = []
    private var slotsBySession: [SessionID: Int] = [:]
    private var lastGeneration: UInt32 = 0

    var count: Int { slotsBySession.count }
    var all: some Sequence<Connection> { slots.lazy.compactMap { $0 } }

    /// Adds the connection that `make` makes for a slot and a generation.
    func insert(_ make: (_ slot: Int, _ generation: UInt32) -> Connection) -> Connection {
        lastGeneration &+= 1
        let slot = freeSlots.popLast() ?? slots.count
        if slot == slots.count { slots.append(nil) }
        let connection = make(slot, lastGeneration)
        slots[slot] = connection
        slotsBySession[connection.session.id] = slot
        return connection
    }

    /// Removes a connection; says whether it was there.
    func remove(_ connection: Connection) -> Bool {
        guard slotsBySession.removeValue(forKey: connection.session.id) != nil else { return false }
        slots[connection.socketKey.slot] = nil
        freeSlots.append(connection.socketKey.slot)
        return true
    }

    /// The connection that epoll speaks of, unless it was closed meanwhile.
    subscript(key: EpollKey) -> Connection? {
        guard let connection = slots[key.slot], connection.socketKey.generation == key.generation else { return nil }
        return connection
    }

    /// The connection of a session, unless it was closed.
    subscript(session: Session) -> Connection? {
        slotsBySession[session.id].flatMap { slots[$0] }
    }
}
