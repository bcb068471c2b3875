public import LockdModel

/// Whoever started the daemon and looks after it: is told how the daemon is doing, and says what it is to do.
///
/// The server calls it, on its own thread; it must not block.
public protocol Supervisor: AnyObject {
    /// Readable when there is something for ``takeRequest(at:)``, if there can be anything.
    ///
    /// Like ``outputDescriptor`` it stays the same while the server runs.
    var requestDescriptor: CInt? { get }
    /// What can be written to while ``wantsOutput``, if there is anything to write to; then ``turnEnded(_:at:)`` is called.
    var outputDescriptor: CInt? { get }
    /// Whether something could not be written yet.
    var wantsOutput: Bool { get }

    /// Everything is there, and whoever connects from now on is served.
    func serverIsReady(_ counts: ServerCounts, at now: MonotonicInstant)

    /// The loop is about to begin, or has gone round once more in a turn that began at `now`.
    ///
    /// - Returns: when it is to go round again even if nothing happens, if at all.
    func turnEnded(_ counts: ServerCounts, at now: MonotonicInstant) -> MonotonicInstant?

    /// What the server is to do.
    func takeRequest(at now: MonotonicInstant) -> SupervisorRequest

    /// The server is about to end.
    func serverIsStopping()
}

/// What a supervisor can ask of a server.
public enum SupervisorRequest: Hashable, Sendable {
    /// To go on as it does.
    case nothing
    /// To take on as much as these limits say, and to end when it is not used for so long.
    ///
    /// The numbers in the limits that the configuration cannot set have to be what they were.
    case change(Limits, exitWhenIdle: Milliseconds?)
    /// To end, like ``Server/stop()``.
    case stop
}

/// How much there is at the moment.
public struct ServerCounts: Hashable, Sendable {
    /// The sessions.
    public var sessions: Int
    /// The leases.
    public var leases: Int
    /// The waiting requests.
    public var waiters: Int

    /// So many of each.
    public init(sessions: Int, leases: Int, waiters: Int) {
        self.sessions = sessions
        self.leases = leases
        self.waiters = waiters
    }
}
