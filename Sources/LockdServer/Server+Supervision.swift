import LockdCore
import LockdModel
import Logging

/// What a server has to do with whoever looks after it.
struct Supervision {
    let supervisor: (any Supervisor)?
    /// How long nobody may use the daemon before it ends.
    var exitWhenIdle: Milliseconds?
    /// Since when nobody has, if that matters.
    var idleSince: MonotonicInstant?
    /// When the supervisor wants the loop to go round.
    var wakeUpAt: MonotonicInstant?
    /// Its output is watched for.
    var watchesOutput = false

    init(_ supervisor: (any Supervisor)?, exitWhenIdle: Milliseconds?) {
        self.supervisor = supervisor
        self.exitWhenIdle = exitWhenIdle
    }

    /// When there is something to do though nothing has happened.
    var dueAt: MonotonicInstant? {
        let instants = [wakeUpAt, idleSince.flatMap { since in exitWhenIdle.map { since + $0 } }]
        return instants.compactMap { $0 }.min()
    }
}

extension Server {
    private static let requestKey = EpollKey(.supervisor, slot: 0)
    private static let outputKey = EpollKey(.supervisor, slot: 1)

    /// Watches the supervisor's descriptors, and tells it that the server is ready.
    func beginSupervision(at now: MonotonicInstant) throws {
        if let supervisor = supervision.supervisor {
            if let descriptor = supervisor.requestDescriptor { try epoll.add(descriptor, .input, Self.requestKey) }
            if let descriptor = supervisor.outputDescriptor { try epoll.add(descriptor, [], Self.outputKey) }
            supervisor.serverIsReady(counts, at: now)
        }
        // The first turn may be long in coming, if nobody is: it has to begin in time.
        superviseTurn(now)
    }

    /// Something is to be read from the supervisor, or can be written; the latter is done when the turn ends.
    func handleSupervisor(_ key: EpollKey, _ now: MonotonicInstant) {
        guard key == Self.requestKey, let supervisor = supervision.supervisor else { return }
        switch supervisor.takeRequest(at: now) {
        case .nothing: break
        case .stop: isStopped = true
        case .change(let limits, let exitWhenIdle):
            change(limits)
            supervision.exitWhenIdle = exitWhenIdle
        }
    }

    /// Does what is to be done in each turn, when everything else is.
    func superviseTurn(_ now: MonotonicInstant) {
        endIfIdle(now)
        guard let supervisor = supervision.supervisor else { return }
        supervision.wakeUpAt = supervisor.turnEnded(counts, at: now)
        guard let descriptor = supervisor.outputDescriptor, supervisor.wantsOutput != supervision.watchesOutput
        else { return }
        supervision.watchesOutput = supervisor.wantsOutput
        epoll.modify(descriptor, supervision.watchesOutput ? .output : [], Self.outputKey)
    }

    private var counts: ServerCounts {
        ServerCounts(
            sessions: service.sessions.count,
            leases: service.table.leaseCount,
            waiters: service.table.waiterCount
        )
    }

    private func change(_ limits: Limits) {
        var limits = limits
        sessionLimit = budget(limits).sessions
        limits.sessions = sessionLimit
        limits.daemonUser = service.limits.daemonUser
        service.change(limits)
    }

    // MARK: Nobody is there

    /// Nobody is connected, nobody holds or waits, and nobody is half-way in.
    private var isIdle: Bool {
        connections.count == 0 && counts == ServerCounts(sessions: 0, leases: 0, waiters: 0) && halfAccepted == nil
            && acceptsAgainAt == nil
    }

    /// Ends the server if nobody has used it for as long as that is allowed.
    ///
    /// Whoever connects meanwhile is not lost: the last thing that is done is to look for those. Who comes behind that is in the backlog of a socket that
    /// somebody else has too, and who will start the daemon again.
    private func endIfIdle(_ now: MonotonicInstant) {
        guard let limit = supervision.exitWhenIdle, isIdle else {
            supervision.idleSince = nil
            return
        }
        let since = supervision.idleSince ?? now
        supervision.idleSince = since
        guard now >= since + limit else { return }
        accept(now)
        guard isIdle else {
            supervision.idleSince = nil
            return
        }
        logger.notice("idle, ending", metadata: ["idle": "\(limit)"])
        isStopped = true
    }
}
