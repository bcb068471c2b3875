import LockdCore
import LockdModel

/// What an auditor expects of leases that are bound to something else than their session.
extension Auditor {
    /// Notes that something is watched on behalf of a request.
    mutating func noteBinding(of request: AcquireRequest) {
        if let holder = request.boundHolder { bindings.insert(holder.session) }
    }

    /// A bound lease that begins is a session of its own.
    mutating func openBinding(of request: AcquireRequest) {
        guard let holder = request.boundHolder else { return }
        clients[holder.session] = Client(peer: holder.peer, isDraining: true)
    }

    mutating func unbound(_ id: SessionID) throws(Complaint) {
        try require(bindings.remove(id) != nil, "\(id) is not bound, or not any more")
        try require(clients[id] == nil && waitBound(to: id) == nil, "what \(id) is bound to is given up too early")
    }

    func waitBound(to id: SessionID) -> Wait? { waits.values.first { $0.request.boundHolder?.session == id } }

    /// What it is bound to has ended: if it is a lease by now, that has.
    mutating func endBinding(of id: SessionID) throws(Complaint) {
        try require(waitBound(to: id) == nil, "a request waits for what nobody would be told of")
        abandonLeases(of: id)
        clients[id] = nil
    }

    /// Whatever is neither waited for nor held any longer is given up.
    func requireNothingBoundForNothing() throws(Complaint) {
        for id in bindings where clients[id] == nil && waitBound(to: id) == nil {
            let mayBeSilent = !silent.isEmpty || silentCount > 0
            try require(mayBeSilent, "\(id) is bound for nothing: \(bindings)")
        }
    }
}
