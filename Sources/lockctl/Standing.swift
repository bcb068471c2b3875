import LockdModel
import LockdWire

/// Who holds and who waits, by lock and by process: what ``Why`` and ``Tree`` follow from one to the next.
struct Standing {
    private(set) var leases: [LockName: [Reply.LeaseLine]] = [:]
    private(set) var waiters: [LockName: [Reply.WaiterLine]] = [:]
    private var leasesOfSession: [SessionID: [Reply.LeaseLine]] = [:]
    private var waitsOfSession: [SessionID: [Reply.WaiterLine]] = [:]

    init(_ listing: Listing) {
        for line in listing.lines {
            switch line {
            case .lease(let lease):
                leases[lease.name, default: []].append(lease)
                if let session = lease.peer.session { leasesOfSession[session, default: []].append(lease) }
            case .waiter(let waiter):
                waiters[waiter.name, default: []].append(waiter)
                if let session = waiter.peer.session { waitsOfSession[session, default: []].append(waiter) }
            }
        }
    }

    /// The locks that somebody holds or waits for, by name.
    var names: [LockName] { Set(leases.keys).union(waiters.keys).sorted { $0.spelling < $1.spelling } }

    /// What the process of `peer` waits for, by that session.
    func waits(of peer: Reply.Peer) -> [Reply.WaiterLine] { peer.session.flatMap { waitsOfSession[$0] } ?? [] }

    /// What the process of `peer` holds, by that session.
    func leases(of peer: Reply.Peer) -> [Reply.LeaseLine] { peer.session.flatMap { leasesOfSession[$0] } ?? [] }
}
