public import LockdModel

/// One reason why a request would wait for ever: somebody waits for a name that somebody else would have to release first.
public struct DeadlockEdge: Hashable, Sendable {
    /// One end of it.
    public struct End: Hashable, Sendable {
        /// The session.
        public var session: SessionID
        /// The owner that the request names.
        public var owner: Text?

        /// The owner `owner` of `session`.
        public init(_ session: SessionID, owner: Text?) {
            self.session = session
            self.owner = owner
        }
    }

    /// The name that the waiter cannot have.
    public var name: LockName
    /// Who waits.
    public var waiter: End
    /// Who is in the way.
    public var holder: End
    /// The token under which it holds the name; nothing if it is ahead in the queue.
    public var token: FencingToken?
    /// How long it has been holding, or waiting.
    public var since: Milliseconds

    /// The edge from `waiter` to `holder`.
    public init(name: LockName, waiter: End, holder: End, token: FencingToken?, since: Milliseconds) {
        self.name = name
        self.waiter = waiter
        self.holder = holder
        self.token = token
        self.since = since
    }
}

/// Why a hopeless request is one.
extension DeadlockSearch {
    /// The edges that lead from the request through everybody whom it waits for in vain, the nearest first, each waiter once.
    ///
    /// Of exclusive leases on one name each they are the cycle. At most `limit`.
    func edges(limit: Int, in table: inout LockTable) -> [DeadlockEdge] {
        var edges: [DeadlockEdge] = []
        var waits = [Self.request]
        var seen: Set<Int> = [Self.request]
        var next = 0
        while next < waits.count {
            let waiter = waits[next]
            next += 1
            for lock in lockSlots(of: waiter, in: &table) {
                for blocker in blockers(of: waiter, on: lock, in: &table) {
                    if edges.count == limit { return edges }
                    edges.append(edge(from: waiter, to: blocker, on: lock, in: &table))
                    for wait in waitsInTheWay(of: blocker, in: &table) where seen.insert(wait).inserted {
                        waits.append(wait)
                    }
                }
            }
        }
        return edges
    }

    /// Whoever has to go before a wait can be granted on a lock: those who hold it if they do not admit it, or else the head of the queue.
    private func blockers(of wait: Int, on lock: Int, in table: inout LockTable) -> [Int] {
        guard let state = locks[lock] else { return [] }
        if !state.admits(holderLimit(of: wait, in: &table)) {
            return state.holders.sorted { order(of: $0, in: &table) < order(of: $1, in: &table) }
        }
        switch state.headPlace {
        case .claim(let head), .run(let head, _): return head == wait ? [] : [head]
        case nil: return []
        }
    }

    /// What must be granted before a blocker can go.
    private func waitsInTheWay(of blocker: Int, in table: inout LockTable) -> [Int] {
        let isInQueue = !granted.contains(blocker) && (blocker == Self.request || table.claims[blocker].token == nil)
        return isInQueue ? [blocker] : waitsLeft(of: blocker, in: &table)
    }

    private func order(of claim: Int, in table: inout LockTable) -> UInt64 {
        claim == Self.request ? .max : table.claims[claim].arrival
    }

    private func edge(from waiter: Int, to blocker: Int, on lock: Int, in table: inout LockTable) -> DeadlockEdge {
        DeadlockEdge(
            name: table.locks[lock].name,
            waiter: end(of: waiter, in: &table),
            holder: end(of: blocker, in: &table),
            token: blocker == Self.request ? nil : table.claims[blocker].token,
            since: blocker == Self.request ? Milliseconds(0) : table.lastInstant - table.claims[blocker].since
        )
    }

    private func end(of claim: Int, in table: inout LockTable) -> DeadlockEdge.End {
        claim == Self.request
            ? DeadlockEdge.End(id.session, owner: actor.owner.name)
            : DeadlockEdge.End(table.claims[claim].id.session, owner: table.claims[claim].owner.name)
    }
}
