public import LockdModel
public import LockdWire

/// Watches what leases and waits are bound to, under the number of the session that the lease is or will be.
public protocol Binder: AnyObject {
    /// Takes what came with the line of `session` that is being taken, and watches it.
    ///
    /// - Returns: what it is that the lease is bound to.
    /// - Throws: why the lease cannot be bound to that; nothing is watched then.
    func bind(_ binding: Binding, for session: Session, as id: SessionID) throws(WireError) -> BoundTarget

    /// Gives up what is watched under this number.
    func unbind(_ id: SessionID)
}

/// Binds leases to the descriptors that come with requests.
final class DescriptorBinder: Binder {
    private let connections: ConnectionTable
    private let bounds: BoundTable
    private let loose: LooseDescriptors
    private let limits: Limits
    private var ids: [SessionID: BoundID] = [:]
    private var sessions: [BoundID: SessionID] = [:]
    /// Where the descriptors are kept for the next daemon.
    weak var bag: DescriptorBag?
    /// How many there are on behalf of each user.
    private var counts: [UserID: Int] = [:]

    init(_ connections: ConnectionTable, _ bounds: BoundTable, _ loose: LooseDescriptors, limits: Limits) {
        self.limits = limits
        self.connections = connections
        self.bounds = bounds
        self.loose = loose
    }

    /// Whose lease or wait is bound to what is watched under this number.
    func session(of id: BoundID) -> SessionID? { sessions[id] }

    func bind(_ binding: Binding, for session: Session, as id: SessionID) throws(WireError) -> BoundTarget {
        let descriptor = connections[session]?.takeDescriptor()
        do {
            let bound = try BoundDescriptor(checking: descriptor, as: binding, from: session.peer)
            try requireRoom(for: bound.user)
            try watch(bound, as: id)
            return bound.target
        } catch {
            if let descriptor { loose.add(1, of: session.peer.user); loose.close(descriptor, of: session.peer.user) }
            switch error {
            case let error as WireError: throw error
            case let refusal as BoundDescriptor.Refusal: throw refusal.error(for: binding)
            // The kernel has no memory to watch one more descriptor with.
            default: throw WireError(.tooManyDescriptors, limit: bounds.count, scope: .daemon)
            }
        }
    }

    /// Watches a descriptor that is what it should be, whatever limits say.
    ///
    /// - Throws: ``SystemError`` if the kernel has no memory to watch it with; then it is the caller's still.
    func watch(_ bound: BoundDescriptor, as id: SessionID) throws {
        let boundID = try bounds.insert(bound)
        (ids[id], sessions[boundID]) = (boundID, id)
        counts[bound.user, default: 0] += 1
        bag?.put(bound.descriptor, .init(session: id, isBound: true))
    }

    /// The descriptors, each with the number of the session that the lease is or will be.
    var descriptors: [(item: DescriptorBag.Item, descriptor: CInt)] {
        ids.compactMap { id, boundID in
            bounds[boundID].map { (.init(session: id, isBound: true), $0.descriptor) }
        }
    }

    /// One user may have half of what there may be, so that it cannot keep everybody else out.
    private func requireRoom(for user: UserID) throws(WireError) {
        let limitOfUser = limits.exempts(user) ? .max : max(1, bounds.limit / 2)
        if counts[user, default: 0] >= limitOfUser {
            throw WireError(.tooManyDescriptors, limit: limitOfUser, scope: .user)
        }
        if bounds.isFull { throw WireError(.tooManyDescriptors, limit: bounds.limit, scope: .daemon) }
    }

    func unbind(_ id: SessionID) {
        guard let boundID = ids.removeValue(forKey: id) else { return }
        if let user = bounds[boundID]?.user {
            let count = counts[user, default: 1] - 1
            counts[user] = count == 0 ? nil : count
        }
        sessions[boundID] = nil
        bounds.release(boundID)
    }
}

extension BoundDescriptor.Refusal {
    /// The refusal as the protocol says it.
    fileprivate func error(for binding: Binding) -> WireError {
        switch self {
        case .none: badDescriptor("none", binding)
        case .writeEnd: badDescriptor("write-end", binding)
        case .other: badDescriptor("other", binding)
        case .ended: badDescriptor("ended", binding)
        case .unknown: badDescriptor("unknown", binding)
        case .foreign(let user):
            WireError(
                .foreignProcess,
                got: Text(cutting: "\(user)", limit: Text.shortLimit),
                want: "process-of-your-user"
            )
        }
    }

    private func badDescriptor(_ got: String, _ binding: Binding) -> WireError {
        let want =
            switch binding {
            case .pidfd: "pidfd"
            case .pipe: "read-end-of-a-pipe"
            }
        return WireError(.badDescriptor, got: Text(cutting: got, limit: Text.shortLimit), want: want)
    }
}
