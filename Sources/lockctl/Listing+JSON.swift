import LockdModel
import LockdWire

/// Listings for programs: an object for each line.
extension Listing {
    /// One array of all objects.
    var json: JSON { .array(lines.map(Self.json)) }

    private static func json(_ line: Reply.ListingLine) -> JSON { .object { add(line, to: &$0) } }

    static func json(_ lease: Reply.LeaseLine) -> JSON { .object { add(lease, to: &$0) } }

    /// Adds the members of a line's object.
    static func add(_ line: Reply.ListingLine, to object: inout ByteBuffer) {
        switch line {
        case .lease(let lease): add(lease, to: &object)
        case .waiter(let waiter): add(waiter, to: &object)
        }
    }

    private static func add(_ lease: Reply.LeaseLine, to object: inout ByteBuffer) {
        object.write(member: "name", .string(lease.name.display))
        object.write(member: "name_escaped", .string(lease.name.spelling))
        object.write(member: "state", .string("held"))
        add(lease.holderLimit, to: &object)
        add(lease.peer, to: &object)
        object.write(member: "client", .text(lease.client?.display))
        object.write(member: "held_ms", .integer(lease.held.count))
        object.write(member: "waiters", .integer(lease.waiterCount))
        object.write(member: "token", .integer(lease.token.value))
        object.write(member: "ttl_ms", .integer(lease.timeToLive?.count))
        object.write(member: "left_ms", .integer(lease.left?.count))
        object.write(member: "owner", .text(lease.owner?.display))
        object.write(member: "note", .text(lease.note?.display))
        object.write(member: "names", .integer(lease.nameCount))
        object.write(member: "bound", .text(lease.binding?.rawValue))
        object.write(member: "detached_ms", .integer(lease.detached?.count))
    }

    static func add(_ waiter: Reply.WaiterLine, to object: inout ByteBuffer) {
        object.write(member: "name", .string(waiter.name.display))
        object.write(member: "name_escaped", .string(waiter.name.spelling))
        object.write(member: "state", .string("waiting"))
        object.write(member: "position", .integer(waiter.position))
        add(waiter.holderLimit, to: &object)
        add(waiter.peer, to: &object)
        object.write(member: "client", .text(waiter.client?.display))
        object.write(member: "waited_ms", .integer(waiter.waited.count))
        object.write(member: "left_ms", .integer(waiter.left?.count))
        object.write(member: "ttl_ms", .integer(waiter.timeToLive?.count))
        object.write(member: "owner", .text(waiter.owner?.display))
        object.write(member: "note", .text(waiter.note?.display))
        object.write(member: "names", .integer(waiter.nameCount))
        object.write(member: "detached_ms", .integer(waiter.detached?.count))
    }

    private static func add(_ limit: HolderLimit, to object: inout ByteBuffer) {
        object.write(member: "mode", .string(limit == .exclusive ? "exclusive" : limit == .shared ? "shared" : "limit"))
        object.write(member: "limit", .integer(limit == .shared ? nil : limit.count))
    }

    /// Adds what is known of a process.
    static func add(_ peer: Reply.Peer, to object: inout ByteBuffer) {
        object.write(member: "pid", .integer(peer.process?.value))
        object.write(member: "command", .text(peer.command?.display))
        object.write(member: "uid", .integer(peer.user?.value))
        object.write(member: "user", .text(peer.user.map(Users.name)))
        object.write(member: "unit", .text(peer.unit?.display))
        object.write(member: "session", .integer(peer.session?.value))
    }
}
