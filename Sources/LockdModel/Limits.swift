/// The bounds of the protocol: fixed, part of version 1.
public enum ProtocolLimits {
    /// The most bytes of a request line, without its LF.
    ///
    /// A name of 255 bytes, a note and an owner, all escaped, need 1.8 KiB; the rest is room for several names.
    public static let lineByteCount = 8192
    /// The largest `max-queue` that a request can name.
    public static let queueLimit = 100_000
    /// The most lines in one page of SHOW or LIST.
    public static let pageLineCount = 500
}

/// How much the daemon takes on: every count that a client can drive up has its bound here.
public struct Limits: Hashable, Sendable {
    /// The most sessions at a time.
    public var sessions = 8192
    /// How many of ``sessions`` only root and the daemon's own user may use, so that an operator gets in during a
    /// flood.
    public var reservedSessions = 8
    /// The most sessions of one user.
    ///
    /// Like all limits of a user half of what there is, so that one user alone cannot keep everybody else out.
    public var sessionsPerUser = 4096
    /// The most leases at a time.
    public var leases = 100_000
    /// The most leases of one user, its waiting requests counted in that are not exclusive.
    public var leasesPerUser = 50_000
    /// The most leases of one session, its waiting requests counted in: each of them can become a lease at any moment.
    public var leasesPerSession = 10_000
    /// The most waiting requests at a time.
    public var waiters = 100_000
    /// The most waiting requests of one user.
    public var waitersPerUser = 50_000
    /// The most waiting requests of one session.
    ///
    /// They all end in one turn, so this is no more than ``endingsPerTurn``.
    public var waitersPerSession = 1000
    /// The most bytes that are kept for one user: of its leases and waits, and of what is buffered for its sessions.
    public var bytesPerUser = 64 << 20
    /// The daemon's own user: like root, it has no limits as a user.
    public var daemonUser = UserID.root
    /// The most endings (deadlines that passed, leases and waits of ended sessions) that one turn works off.
    public var endingsPerTurn = 1000
    /// The most waiting requests that one turn grants, when a name becomes free for many.
    public var grantsPerTurn = 1000
    /// The most claims that a search for deadlocks looks at, those counted twelve times whose owners hold or wait for other names as well; a request
    /// that would need more is let wait.
    public var deadlockSearch = 100_000
    /// How long a session without a connection is waited for when it is the turn of one of its requests.
    ///
    /// What comes back at all comes back at once; those behind it wait meanwhile.
    public var detachedGrace = Milliseconds.seconds(10)
    /// The most edges that a refused request is told of.
    public var deadlockEdges = 500
    /// The most waiting requests that one turn looks at in order to tell them how their waits go.
    public var reportsPerTurn = 1000
    /// The most locks that nobody holds or waits for and that are remembered all the same, because most names come again.
    public var idleLocks = 4096
    /// The most leases that have ended and that are remembered of one name: a power of two.
    public var holdsPerName = 16
    /// The most leases that have ended and that are remembered in all; a name takes ``holdsPerName`` of them with the first.
    public var holds = 65_536
    /// The most bytes of the notes, commands and units of those, as they are spelled.
    public var holdTextBytes = 16 * 1024 * 1024
    /// The most names that have histograms of their own: those that are waited for first.
    public var namedHistograms = 100
    /// How many of ``namedHistograms`` a name may get because of requests of one user.
    public var namedHistogramsPerUser = 50
    /// The most sessions that watch.
    public var watchers = 64
    /// How many of ``watchers`` one user may have.
    public var watchersPerUser = 32
    /// The most locks that one page of LIST looks at.
    public var locksPerPage = 4096

    /// The limits that `docs/protocol.md` states.
    public init() {}

    /// Whether the limits of a user do not apply to this one.
    ///
    /// The overflow uid stands for many users, so it is never exempt.
    public func exempts(_ user: UserID) -> Bool { user == .root || (user == daemonUser && user != .overflow) }
}
