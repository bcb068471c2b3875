import LockdCore
import LockdModel

/// What a log says when all of it was read.
struct LogContents {
    /// What was received from a session and not taken.
    struct Input: Hashable {
        var bytes: [UInt8] = []
        /// The line that these bytes are in the middle of was too long, and is dropped.
        var isDiscarding = false
    }

    /// What a session was told.
    struct Output: Hashable {
        var lines: [UInt8] = []
        /// So many bytes of the first line are in its socket.
        var skipping = 0
    }

    var sessions: [LogRecord.Session] = []
    var claims: [ClaimRecord] = []
    var bounds: [LogRecord.Bound] = []
    var inputs: [SessionID: Input] = [:]
    /// What the sessions were told, and may not have been written to their sockets.
    var outputs: [SessionID: Output] = [:]
    /// The same of sessions that have ended.
    var farewells: [SessionID: [UInt8]] = [:]
    /// The sessions of which what they were told is not there as a whole.
    var torn: Set<SessionID> = []
    /// Bytes that were received, in that order: they come behind the sessions' input.
    var received: [(session: SessionID, bytes: [UInt8])] = []
    /// The least token that was not granted; nothing if that is not known.
    var nextToken: FencingToken?
    var lastSession = SessionID(0)
    /// When the daemon was there last.
    var aliveAt: MonotonicInstant?
    /// Why not all of it could be read, if so.
    var damage: String?
    /// Process numbers in it are those of another namespace.
    var isForeign = false

    init() {}
}
