/// The open connections, by slot, as epoll and their sessions name them.
final class ConnectionTable {
    private var slots: [Connection?] = []
    private var freeSlots: [Int] = []
    private var lastGeneration: UInt32 = 0

    var count: Int { slots.count - freeSlots.count }
    /// The sockets, each with whose it is.
    var descriptors: [(item: DescriptorBag.Item, descriptor: CInt)] {
        all.filter { $0.socket != Connection.none }.map { (.init(session: $0.session.id, isBound: false), $0.socket) }
    }
    var all: some Sequence<Connection> { slots.lazy.compactMap { $0 } }

    /// Adds the connection that `make` makes for a slot and a generation.
    func insert(_ make: (_ slot: Int, _ generation: UInt32) -> Connection) -> Connection {
        lastGeneration &+= 1
        let slot = freeSlots.popLast() ?? slots.count
        if slot == slots.count { slots.append(nil) }
        let connection = make(slot, lastGeneration)
        connection.session.connectionSlot = slot
        slots[slot] = connection
        return connection
    }

    /// Removes a connection; says whether it was there.
    func remove(_ connection: Connection) -> Bool {
        guard self[connection.session] === connection else { return false }
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
        guard let slot = session.connectionSlot, let connection = slots[slot], connection.session === session else {
            return nil
        }
        return connection
    }
}
