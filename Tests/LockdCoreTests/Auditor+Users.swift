import LockdCore
import LockdModel

/// What an auditor expects of the limits of a user: it counts what there is anew each time.
extension Auditor {
    /// What a user has.
    private struct Usage {
        var leases = 0
        var waits = 0
        var bytes = 0

        mutating func add(_ request: AcquireRequest, leases count: Int) {
            leases += count
            bytes += Auditor.byteCount(of: request)
        }
    }

    /// Checks that a new request that is taken in, to be granted or to wait, is within what its user may have.
    func requireRoomOfUser(for request: AcquireRequest, waits: Bool, isFree: Bool) throws(Complaint) {
        guard let user = clients[request.id.session]?.peer.user, !isExempt(user) else { return }
        let usage = usage(of: user, withSilent: false)
        let leases = Self.leaseCount(of: request, isFree: isFree)
        try require(leases == 0 || usage.leases + leases <= limits.leasesPerUser, "user \(user) has too many leases")
        try require(!waits || usage.waits < limits.waitersPerUser, "user \(user) has too many waits")
        let bytes = usage.bytes + Self.byteCount(of: request)
        try require(bytes <= limits.bytesPerUser, "user \(user) has too many bytes")
    }

    /// Checks that a request was refused because of its user with good reason.
    func requireNoRoomOfUser(for request: AcquireRequest, _ refusal: Refusal) throws(Complaint) {
        guard let user = clients[request.id.session]?.peer.user else { return }
        try require(!isExempt(user), "user \(user) has limits")
        // Leases whose end the table has not noticed yet, perhaps, may count still.
        let usage = usage(of: user, withSilent: true)
        let mayBeGranted = obstacles(to: request).isEmpty || request.names.contains(where: mayHaveSilent)
        switch refusal {
        case .tooManyLeasesOfUser(let limit):
            let leases = Self.leaseCount(of: request, isFree: mayBeGranted)
            try require(limit == limits.leasesPerUser && leases > 0, "it counts for no lease")
            try require(usage.leases + leases > limit, "user \(user) has only \(usage.leases) leases")
        case .tooManyWaitersOfUser(let limit):
            try require(
                limit == limits.waitersPerUser && usage.waits >= limit,
                "user \(user) waits \(usage.waits) times"
            )
            try require(mustWait(request), "it need not wait")
        case .tooManyBytesOfUser(let limit):
            let bytes = usage.bytes + Self.byteCount(of: request)
            try require(limit == limits.bytesPerUser && bytes > limit, "user \(user) has only \(usage.bytes) bytes")
        case .tagInUse, .stricterLease, .partlyHeld, .tooManyLeasesOfSession, .tooManyLeases, .tooManyWaitersOfSession,
            .tooManyWaiters:
            break
        }
    }

    private func usage(of user: UserID, withSilent: Bool) -> Usage {
        var usage = Usage(bytes: buffered[user] ?? 0)
        for holder in holders.values where holder.payer == user {
            usage.add(holder.request, leases: holder.names.count)
        }
        for wait in waits.values where wait.payer == user {
            usage.add(wait.request, leases: Self.leaseCount(of: wait.request, isFree: wait.wasFree))
            usage.waits += 1
        }
        guard withSilent else { return usage }
        for lease in silent.values where lease.holder.payer == user {
            usage.add(lease.holder.request, leases: lease.names.count)
        }
        return usage
    }

    private func isExempt(_ user: UserID) -> Bool {
        user == .root || user == limits.daemonUser && user != .overflow
    }

    /// Who pays for a request: whoever sends it.
    func payer(of request: AcquireRequest) -> UserID { clients[request.id.session]?.peer.user ?? .overflow }

    private static func leaseCount(of request: AcquireRequest, isFree: Bool) -> Int {
        !isFree && request.holderLimit == .exclusive && request.names.count == 1 ? 0 : request.names.count
    }

    /// 512 bytes for each name, and its spelling, and those of the texts.
    private static func byteCount(of request: AcquireRequest) -> Int {
        let names = request.names.reduce(0) { $0 + 512 + $1.spelling.utf8.count }
        return [request.owner, request.note].reduce(names) { $0 + ($1?.spelling.utf8.count ?? 0) }
    }
}
