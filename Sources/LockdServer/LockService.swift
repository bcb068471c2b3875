import LockdCore
public import LockdModel
import LockdWire

/// The daemon without its descriptors: bytes from sessions in, bytes to sessions out, and the one door into the lock table.
///
/// It performs no I/O and reads no clock. Not thread-safe: one thread owns it.
///
/// What is asked in every turn is mutating, though nothing changes: else all of it would be copied for that, with a reference to each of its parts, which
/// costs more than a request.
public struct LockService {
    /// How many bytes of replies may wait for a session before its requests are left unread.
    public static let outputLimit = 64 * 1024

    /// Once the searches of a user for deadlocks have looked at more than so many claims in one turn, about a millisecond, its sessions are left alone
    /// until the next one.
    static let searchCostPerTurn = 10_000

    /// How many bytes of events may wait, between two lines, for one that watches and has kept up with all before.
    static let crowdedOutputLimit = 512 * 1024

    /// After so many bytes of answers there is a commit: the log has room for those of the line that is being taken then.
    static let saidPerCommit = 32 * 1024

    /// What this daemon can do, as WELCOME says it.
    static let features = [
        "bind", "cancel", "deadlock", "histograms", "history", "limit", "list", "max-queue", "mode", "names", "note",
        "owner",
        "progress", "renew", "resume", "revoke", "show", "stats", "ttl", "watch",
    ]

    let identity: Identity
    var limits: Limits
    var table: LockTable
    var sessions: [SessionID: Session] = [:]
    var users: [UserID: UserSessions] = [:]
    /// The users of whom something else is buffered than the table was told.
    var changedUsers: [UserSessions] = []
    /// The users of whom as much was kept as may be, and not less than half of that since.
    var nearlyFullUsers: [UserSessions] = []
    /// Those of them that were not spoken of yet.
    var newlyFullUsers: [UserID] = []
    var counts = SessionCounts()
    let startedAt: MonotonicInstant

    private let tokens: any TokenSupply
    /// With fewer tokens left than half of the latest block, the next one is reserved.
    private var tokensToKeep: UInt64
    let flush: (Session) -> Void
    let flushWatcher: (Session) -> Void
    private let record: (Revocation) -> Void
    /// `nil`: nothing can be bound.
    let binder: (any Binder)?
    var lastSession = SessionID(0)
    /// By the number of the session that the lease is or will be.
    var bound: [SessionID: BoundLease] = [:]
    /// In the order in which they began to watch.
    var watchers: [Session] = []
    /// Those of them that are to be written to as soon as the line is done with.
    var crowdedWatchers: [Session] = []
    private var effects: [Effect] = []
    private(set) var dirty: [Session] = []

    /// Where everything is written down that the next daemon needs to know; nothing if there is to be none that goes on.
    let log: WriteAheadLog?
    /// What is restored is written down as a whole, when all of it is.
    var isRestoring = false
    /// What there is to be written down, besides what the dirty ones were told.
    var logChanges: [Session] = []
    var backlogChanges: [Session] = []
    var changedBounds: [SessionID] = []
    /// How many bytes of answers there were since the last commit, to those who asked.
    var saidByteCount = 0
    /// Kept for their memory.
    var (changedClaims, changedSessions): ([Int], [Int]) = ([], [])
    var boundSlots = SessionNumbering()
    /// The sessions that have ended and have not read all that they were told, as far as that is written down.
    var leaving: [SessionID: Session] = [:]
    var leavingSlots = SessionNumbering()
    /// It was tried in vain to make room in the log, and is not tried again before that.
    var noGrowthBefore: MonotonicInstant?
    /// Says what is wrong in the daemon itself.
    let logProblem: (_ what: String, _ why: String) -> Void
    /// The sessions that are to take the place of another one's connection, as soon as their lines are left alone.
    var resumptions: [Resumption] = []
    private var runnable: [Session] = []
    /// Sessions that may go on in the next turn too, but after all of those: they have made the table search.
    private var resting: [Session] = []
    /// The users whose sessions have made the table search in this turn.
    private var searchingUsers: [UserSessions] = []
    /// The session whose lines are being taken: whoever has them taken keeps it alive, so nobody here needs to.
    var current: Unmanaged<Session>?
    var currentID: SessionID?

    /// Who answers: what WELCOME and STATS say of the daemon.
    public struct Identity: Hashable, Sendable {
        /// The daemon's version.
        public var version: String
        /// The daemon's process.
        public var process: ProcessID

        /// When it started by the clock on the wall: milliseconds since 1970.
        public var startTime: UInt64

        /// A daemon of this version in this process, which started then.
        public init(version: String, process: ProcessID, startTime: UInt64) {
            self.version = version
            self.process = process
            self.startTime = startTime
        }
    }

    /// How many sessions came.
    struct SessionCounts {
        var accepted: UInt64 = 0
        var refused: UInt64 = 0
        var refusedLines: UInt64 = 0
    }

    /// A service with an empty table.
    ///
    /// `firstBlock` are tokens that `tokens` has reserved already. `flush` is called with a session that is to be told of a loss before anybody else is
    /// told of the grant that follows: what waits for it by then is to be written before anything is that comes to wait for others later. `flushWatcher` is called with one that watches and has much to read, and writes that as far as its socket takes it. `record` is called with every revocation.
    public init(
        identity: Identity,
        limits: Limits,
        firstBlock: ClosedRange<FencingToken>,
        tokens: any TokenSupply,
        at now: MonotonicInstant,
        flush: @escaping (Session) -> Void,
        record: @escaping (Revocation) -> Void = { _ in },
        flushWatcher: ((Session) -> Void)? = nil,
        binder: (any Binder)? = nil
    ) {
        self.init(
            identity: identity,
            limits: limits,
            tokens: tokens,
            at: now,
            flush: flush,
            record: record,
            flushWatcher: flushWatcher,
            binder: binder,
            log: nil,
            table: LockTable(limits: limits, firstToken: firstBlock.lowerBound, reservedThrough: firstBlock.upperBound)
        )
    }

    /// A service that goes on with a table, and writes into a log what the next one will need.
    init(
        identity: Identity,
        limits: Limits,
        tokens: any TokenSupply,
        at now: MonotonicInstant,
        flush: @escaping (Session) -> Void,
        record: @escaping (Revocation) -> Void,
        flushWatcher: ((Session) -> Void)?,
        binder: (any Binder)?,
        log: WriteAheadLog?,
        logProblem: @escaping (_ what: String, _ why: String) -> Void = { _, _ in },
        table: LockTable
    ) {
        self.log = log
        self.logProblem = logProblem
        self.flushWatcher = flushWatcher ?? flush
        self.identity = identity
        self.limits = limits
        self.tokens = tokens
        self.flush = flush
        self.record = record
        self.binder = binder
        startedAt = now
        self.table = table
        self.table.keepsChanges = log != nil
        tokensToKeep = table.tokensLeft / 2
    }

    /// Begins a session for `peer`.
    public mutating func open(_ peer: Peer, at now: MonotonicInstant) -> Session {
        open(peer, .unknown, as: makeSessionID(), at: now)
    }

    /// Begins a session for `peer`, which is that process, with a number of its own.
    mutating func open(
        _ peer: Peer,
        _ process: ProcessIdentity,
        as id: SessionID,
        at now: MonotonicInstant
    ) -> Session {
        let session = Session(id: id, peer: peer, process: process, user: sessions(of: peer.user))
        users[peer.user] = session.user
        sessions[session.id] = session
        counts.accepted += 1
        apply(.sessionOpened(session.id, peer), at: now)
        return session
    }

    /// A number for one more session, or for one more lease that is to be bound.
    mutating func makeSessionID() -> SessionID {
        lastSession = SessionID(lastSession.value + 1)
        return lastSession
    }

    /// Ends the lease or wait that is bound to something that has ended.
    public mutating func bindingEnded(_ id: SessionID, at now: MonotonicInstant) {
        apply(.bindingEnded(id), at: now)
        relieveWatchers(at: now)
    }

    /// Takes bytes that came from a session and does what its complete lines ask for, as far as it may go on.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer, from session: Session, at now: MonotonicInstant) {
        guard session.state != .ended else { return }
        let said = session.output.appendedByteCount
        session.input.append(bytes)
        takeLines(of: session, at: now)
        saidByteCount += Int(session.output.appendedByteCount - said)
    }

    /// Records that no more bytes will come from a session than are received until ``end(_:at:)``.
    ///
    /// Its waits end.
    public mutating func endInput(of session: Session, at now: MonotonicInstant) {
        guard session.state == .open else { return }
        session.state = .draining
        session.wake()
        apply(.inputEnded(session.id), at: now)
        takeLines(of: session, at: now)
    }

    /// Ends a session, with its leases.
    ///
    /// Its output can still be written.
    public mutating func end(_ session: Session, at now: MonotonicInstant) {
        endInput(of: session, at: now)
        guard session.state == .draining else { return }
        session.state = .ended
        sessions[session.id] = nil
        endWatch(of: session)
        if !session.output.isEmpty { recordLater(session) }
        apply(.sessionEnded(session.id), at: now)
        relieveWatchers(at: now)
    }

    /// Goes on with the lines of sessions that could not go on before.
    ///
    /// Sessions that can go on only because of this are left for the next call.
    public mutating func resume(at now: MonotonicInstant) {
        if !searchingUsers.isEmpty {
            for user in searchingUsers { user.searchCost = 0 }
            searchingUsers.removeAll(keepingCapacity: true)
        }
        if !hasRunnableSessions { return }
        let batch = runnable + resting
        runnable.removeAll(keepingCapacity: true)
        resting.removeAll(keepingCapacity: true)
        for session in batch {
            session.isRunnable = false
            session.wake()
            // What it was told and has not read is no longer counted then.
            if session.state == .ended { continue }
            takeLines(of: session, at: now)
            // Perhaps nothing was to be said; its socket is to be read again all the same.
            markDirty(session)
        }
    }

    /// Works off what is due, a bounded amount of it.
    public mutating func passTime(at now: MonotonicInstant) {
        if let deadline = table.nextDeadline, deadline <= now { apply(.timePassed, at: now) }
        relieveWatchers(at: now)
        if let instant = table.nextProgress, instant <= now { apply(.progressDue, at: now) }
    }

    /// Whether some session can go on with lines that it has.
    public var hasRunnableSessions: Bool {
        // Where it is inlined nothing is copied.
        @inline(__always) get { !runnable.isEmpty || !resting.isEmpty }
    }

    /// The earliest instant at which ``passTime(at:)`` has something to do.
    public var nextDeadline: MonotonicInstant? {
        mutating get {
            guard let progress = table.nextProgress else { return table.nextDeadline }
            return min(progress, table.nextDeadline ?? progress)
        }
    }

    /// Puts into `batch`, in place of what is there, the sessions that have something to write, or may be read again, since the last call.
    public mutating func takeDirtySessions(into batch: inout [Session]) {
        batch.removeAll(keepingCapacity: true)
        swap(&batch, &dirty)
        for session in batch { session.isDirty = false }
    }

    /// Records that output of a session was written, so that it may go on if it was backed up.
    public mutating func outputWasWritten(of session: Session) {
        if session.watch != nil { catchUp(session) }
        recordBacklogLater(session)
        if !session.droppedReports.isEmpty, !session.isBackedUp {
            for id in session.droppedReports { table.reportWasDropped(id) }
            session.droppedReports.removeAll()
        }
        count(session)
        if session.state == .open, session.mayTakeLine, session.hasLinesLeft { makeRunnable(session) }
    }

    /// Counts a connection that became no session, for STATS.
    public mutating func countRefusedSession() {
        counts.refused += 1
    }

    // MARK: Inside

    mutating func apply(_ event: consuming Event, at now: MonotonicInstant) {
        supplyTokens(at: now)
        table.apply(event, at: now, effects: &effects)
        if !effects.isEmpty { performEffects() }
    }

    private mutating func performEffects() {
        // Most events have one effect, which need not be copied then.
        if effects.count == 1, !effects[0].isLoss, let effect = effects.popLast() { return perform(effect) }
        if effects.contains(where: \.isLoss) { tellLosses() }
        for index in effects.indices { perform(effects[index]) }
        effects.removeAll(keepingCapacity: true)
    }

    /// Puts word of every loss on its way before any grant of the same event is as much as written down.
    private mutating func tellLosses() {
        var losers: [Session] = []
        for case .sendLost(let id, let names, let token, let reason) in effects {
            // Of a lease that is bound, it is the one that asked for it; that may be gone, and the lease was taken all the same.
            guard let holder = sessions[id]?.peer ?? bound[id]?.peer else { continue }
            if case .revoked(let by, let why) = reason {
                let revoker = sessions[by]?.peer
                record(Revocation(names: names, token: token, holder: holder, revoker: revoker, reason: why))
            }
            guard let session = sessions[bound[id]?.asker ?? id] else { continue }
            say(.lost(names, token: token, reason: describe(reason)), to: session)
            if losers.last !== session { losers.append(session) }
        }
        losers.forEach(flush)
    }

    mutating func supplyTokens(at now: MonotonicInstant) {
        if table.tokensLeft > tokensToKeep { return }
        tokens.beginReservation()
        let needed = UInt64(limits.grantsPerTurn)
        let through = table.tokensLeft > needed ? tokens.takeReservation() : tokens.waitForReservation()
        guard let through else { return }
        let tokensLeftBefore = table.tokensLeft
        table.apply(.tokensReserved(through: through), at: now, effects: &effects)
        tokensToKeep = (table.tokensLeft - tokensLeftBefore) / 2
    }

    mutating func say(_ reply: Reply, tag: Tag? = nil, to session: Session) {
        session.output.append { ReplyEncoder.encode(reply, tag: tag, to: &$0) }
        markDirty(session)
    }

    /// Answers a request of a session that is there still.
    mutating func answer(_ id: RequestID, _ reply: Reply) {
        // Nearly always it is the one whose line is being taken.
        if let current, currentID == id.session {
            return current._withUnsafeGuaranteedRef { answer(id, reply, in: $0) }
        }
        guard let session = sessions[id.session] else { return }
        answer(id, reply, in: session)
    }

    private mutating func answer(_ id: RequestID, _ reply: Reply, in session: Session) {
        say(reply, tag: id.tag, to: session)
        if id.tag == nil, session.isBlocked {
            session.isBlocked = false
            if session.state == .open, session.id != currentID, session.hasLinesLeft { makeRunnable(session) }
        }
    }

    mutating func markDirty(_ session: Session) {
        // What it was told is recorded with the next commit because it is in that list.
        if session.state == .ended { recordLater(session) }
        guard !session.isDirty else { return }
        session.isDirty = true
        dirty.append(session)
    }

    /// Takes note of a search that the session has caused; if its user has had its share of them, leaves its lines until ``resume(at:)``.
    mutating func countSearch(_ cost: Int, of session: Session) {
        if cost == 0 { return }
        if session.user.searchCost == 0 { searchingUsers.append(session.user) }
        session.user.searchCost += cost
        // If it is blocked it waits for an answer, and goes on when that comes.
        guard session.user.searchCost > Self.searchCostPerTurn, !session.isBlocked, !session.isRunnable else { return }
        session.rest()
        session.isRunnable = true
        resting.append(session)
    }

    mutating func makeRunnable(_ session: Session) {
        guard !session.isRunnable else { return }
        session.isRunnable = true
        runnable.append(session)
    }
}
