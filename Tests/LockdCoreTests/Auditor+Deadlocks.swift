import LockdCore
import LockdModel

/// What an auditor expects of deadlocks: it plays on with everything that it knows, one round after the other, until nothing changes any more.
extension Auditor {
    /// Checks that a request that is refused so could never be granted, and that the edges are so.
    mutating func deadlocked(_ id: RequestID, _ names: LockNames, _ edges: [DeadlockEdge]) throws(Complaint) {
        let request = try answerAcquire(id)
        try require(request.names == names, "DEADLOCK of other names")
        try require(leasesOfItsOwner(request).isEmpty, "DEADLOCK instead of HELD")
        try require(mayQueue(request) && clients[id.session]?.isDraining == false, "DEADLOCK instead of BUSY")
        try require(isHopeless(request), "DEADLOCK, but \(names) can be granted")
        try require(!edges.isEmpty && edges.count <= limits.deadlockEdges, "\(edges.count) edges")
        try require(edges[0].waiter.session == id.session, "the first edge is somebody else's")
        for edge in edges { try check(edge, of: request) }
        totals.deadlocks += 1
    }

    private func check(_ edge: DeadlockEdge, of request: AcquireRequest) throws(Complaint) {
        let account = accounts[edge.name, default: Account()]
        let waiters = account.queue.compactMap { waits[$0] }
        let isAsking = edge.waiter.session == request.id.session && request.names.contains(edge.name)
        let isWaiting = waiters.contains { $0.request.id.session == edge.waiter.session }
        try require(isAsking || isWaiting, "an edge from somebody who does not wait for \(edge.name)")
        if let token = edge.token {
            try require(holders[token]?.session == edge.holder.session, "an edge to somebody who does not hold")
            try require(holders[token]?.names.contains(edge.name) == true, "an edge over another name")
        } else {
            let isAhead = waiters.contains { $0.request.id.session == edge.holder.session }
            try require(isAhead || edge.holder.session == request.id.session, "an edge to somebody who is not ahead")
        }
    }

    /// Whether no order of releases would ever get the request granted.
    func isHopeless(_ request: AcquireRequest) -> Bool {
        var play = Play(self, request)
        return !play.endsWell()
    }

    /// An owner that asks while it waits is held up by neither.
    mutating func noteWhomItHoldsUp(_ wait: Wait) {
        guard let owner = wait.request.owner else { return }
        let others = (clients[wait.request.id.session]?.waits ?? []).filter { waits[$0]?.request.owner == owner }
        waits[wait.number]?.holdsUpOwner = others.isEmpty
        for other in others { waits[other]?.holdsUpOwner = false }
    }

    /// Whether the session is not read, because it waits for the answer to an untagged request.
    func isHeldBack(_ session: SessionID) -> Bool {
        clients[session]?.waits.contains { waits[$0]?.request.id.tag == nil } ?? false
    }
}

/// What would come of it if everybody who can let go did.
private struct Play {
    private struct Claim {
        let request: AcquireRequest
        var holds: Bool
        /// Whether it holds up its owner while it waits.
        var holdsUpOwner = false
        /// It has waited, and was granted in the play.
        var wasServed = false
    }

    private var claims: [Claim]
    private var queues: [LockName: [Int]] = [:]
    private var holders: [LockName: [Int]] = [:]
    private let last: Int

    init(_ auditor: Auditor, _ request: AcquireRequest) {
        let leases = auditor.holders.values.filter { $0.deadline.map { $0 > auditor.now } ?? true }
        let waits = auditor.waits.values.sorted { $0.number < $1.number }
        let waitsForOther = waits.contains {
            $0.request.id.session == request.id.session && $0.request.owner == request.owner
        }
        claims = leases.map { Claim(request: $0.request, holds: true) }
        claims += waits.map { wait in
            let isOfRequester = wait.request.id.session == request.id.session && wait.request.owner == request.owner
            return Claim(request: wait.request, holds: false, holdsUpOwner: wait.holdsUpOwner && !isOfRequester)
        }
        claims.append(Claim(request: request, holds: false, holdsUpOwner: !waitsForOther))
        last = claims.count - 1
        for (index, claim) in claims.enumerated() {
            for name in claim.request.names {
                if claim.holds {
                    holders[name, default: []].append(index)
                } else {
                    queues[name, default: []].append(index)
                }
            }
        }
    }

    mutating func endsWell() -> Bool {
        var hasChanged = true
        while hasChanged, !claims[last].wasServed {
            hasChanged = false
            for index in claims.indices where claims[index].holds && canLetGo(claims[index].request) {
                claims[index].holds = false
                for name in claims[index].request.names { holders[name]?.removeAll { $0 == index } }
                hasChanged = true
            }
            for index in claims.indices where isWaiting(index) && isAdmitted(index) {
                for name in claims[index].request.names {
                    queues[name]?.removeFirst()
                    holders[name, default: []].append(index)
                }
                (claims[index].holds, claims[index].wasServed) = (true, true)
                hasChanged = true
            }
        }
        return claims[last].wasServed
    }

    private func isWaiting(_ index: Int) -> Bool {
        !claims[index].wasServed && queues[claims[index].request.names.first]?.contains(index) == true
    }

    private func isAdmitted(_ index: Int) -> Bool {
        let request = claims[index].request
        return request.names.allSatisfy { name in
            let count = holders[name]?.count ?? 0
            let limits =
                (holders[name] ?? []).map { claims[$0].request.holderLimit.count } + [request.holderLimit.count]
            return queues[name]?.first == index && limits.allSatisfy { count < $0 }
        }
    }

    private func canLetGo(_ lease: AcquireRequest) -> Bool {
        if lease.boundHolder != nil { return true }
        let ofSession = claims.indices.filter { claims[$0].request.id.session == lease.id.session }
        if ofSession.contains(where: { isWaiting($0) && claims[$0].request.id.tag == nil }) { return false }
        guard let owner = lease.owner else { return true }
        return !ofSession.contains { claims[$0].holdsUpOwner && claims[$0].request.owner == owner && isWaiting($0) }
    }
}
