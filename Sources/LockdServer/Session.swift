import LockdCore
public import LockdModel
import LockdWire

/// One client's session, as the protocol sees it: lines in, replies out.
///
/// Which descriptors carry them is not known here.
public final class Session {
    /// Where the session is in its life.
    enum State: Hashable {
        /// Lines may come.
        case open
        /// No more lines will come than have come.
        case draining
        /// All is said, but perhaps not read.
        case ended
    }

    /// Its number, unique within this run of the daemon.
    public let id: SessionID
    /// The process that called connect().
    public let peer: Peer
    /// The sessions of the same user, and what is buffered for all of them.
    let user: UserSessions
    /// What the client library calls itself, if it said HELLO.
    var client: Text?
    var state = State.open
    /// An untagged request waits: the lines behind it stay unread.
    var isBlocked = false
    /// It is blocked because it has caused so much work that others come first.
    private var isResting = false
    /// A line has come, so HELLO is late.
    var hasSpoken = false
    /// The input may hold complete lines that were not taken yet, because the session could not go on.
    var hasLinesLeft = false
    /// In the list of those with something to write, or whose socket may be read again.
    var isDirty = false
    /// In the list of those that may go on with the lines that they have.
    var isRunnable = false
    /// The requests that wait and were not told how that goes, because so much lay unread.
    var droppedReports: Set<RequestID> = []
    /// What it is told of what happens to others, if it has asked for that.
    var watch: Watch?
    // One thread owns a session, and nothing that fills or empties these comes back to them meanwhile; checking that at every access
    // would cost a tenth of what a request does.
    @exclusivity(unchecked) var input = LineFramer(limit: ProtocolLimits.lineByteCount)
    @exclusivity(unchecked) var output = OutputBuffer()
    /// How many bytes were buffered for it when that was last counted for its user.
    var countedByteCount = 0
    /// Which process ``peer`` is, so that it can be told from a later one with the same number.
    let process: ProcessIdentity
    /// It has said HELLO, so it may be resumed.
    var isResumable = false
    /// It has no connection: the daemon has restarted, and it has not come back.
    var isDetached = false
    /// The HELLO with which it has asked to go on as another one, as long as that is not done.
    var pendingHello: [UInt8]?
    /// What of it is in the log.
    var logged = LoggedSession()
    /// Where the connection that carries the session is found, for whoever keeps connections.
    var connectionSlot: Int?

    init(id: SessionID, peer: Peer, process: ProcessIdentity = .unknown, user: UserSessions) {
        self.id = id
        self.peer = peer
        self.process = process
        self.user = user
        user.add(id)
    }

    /// Leaves the lines behind the present one unread until ``wake()``.
    func rest() {
        isBlocked = true
        isResting = true
    }

    /// Ends a rest.
    func wake() {
        guard isResting else { return }
        isBlocked = false
        isResting = false
    }

    /// Hands out the bytes that are to be written to the client, and drops as many from the front as `body` says it has taken.
    public func drainOutput(_ body: (UnsafeRawBufferPointer) -> Int) {
        output.drain(body)
    }

    /// Whether so many replies wait to be read that nothing more is done for this client before it has read them.
    ///
    /// What it asked for before it ended is done, whatever is kept for its user.
    var isBackedUp: Bool { output.count > (state == .open ? user.outputLimit : LockService.outputLimit) }

    /// What it has sent and what was not taken, what it was told and what was not written.
    var bufferedByteCount: Int { input.bufferedByteCount + output.count }

    /// Whether the next line may be taken now.
    var mayTakeLine: Bool { state != .ended && !isBlocked && !isBackedUp }

    /// Whether the client's socket should be read.
    var wantsInput: Bool { state == .open && !isBlocked && !isBackedUp && !isRunnable }
}
