import LockdCore
import LockdModel

/// What the records of the log are.
///
/// Each says all that there is to say of something that has a number, its slot, and counts until the next record of that slot. So nothing depends on
/// how it came to be, and what is still true can be written again further on. Bytes that wait in a queue are the exception: they are added
/// to, and taken from the front.
enum LogRecord {
    enum Kind: UInt8, CaseIterable {
        /// Nothing: the next record is where the memory begins.
        case skip = 0
        case claim = 1
        case claimGone = 2
        case session = 3
        case sessionGone = 4
        case bound = 5
        case boundGone = 6
        /// What was received from a session and not taken: from here on these bytes, with a byte in front that says whether the line has
        /// been too long and is being dropped.
        case input = 7
        case inputAdded = 8
        case inputTaken = 9
        /// What sessions are told, of each its slot, how many bytes it is, and these: in their sockets once the header says that everything before a later
        /// position was written.
        case replies = 10
        /// What a session was told and its socket did not take, whatever the header says: from here on these lines, with a number in front that says
        /// how many bytes of the first of them the socket did take.
        case backlog = 11
        case backlogAdded = 12
        case backlogGone = 13
        /// What a session was told that has ended, and its socket has not taken, with the session's number in front.
        case farewell = 14
        /// What a session was told could not be recorded as a whole, so its stream cannot be gone on with.
        case torn = 15
        case farewellGone = 16
        /// Nothing counts that is in front of this: another daemon goes on in the same file.
        case anew = 17

        /// Whether a record of this kind can still count when there are later ones.
        var mayCount: Bool {
            switch self {
            case .skip, .claimGone, .sessionGone, .boundGone, .backlogGone, .replies, .farewellGone, .anew: false
            case .claim, .session, .bound, .input, .inputAdded, .inputTaken, .backlog, .backlogAdded, .farewell, .torn:
                true
            }
        }
    }

    /// A lease that is bound to something else than its session, or a wait for one.
    struct Bound: Hashable {
        /// The session that the lease is or will be.
        var session: SessionID
        var lease: BoundLease
    }

    /// What the service knows of a session, and the table does not.
    struct Session: Hashable {
        var table: SessionRecord
        var process: ProcessIdentity
        /// What the client library calls itself.
        var client: Text?
        var hasSpoken = false
        /// It has said HELLO, so it may be resumed.
        var isResumable = false
        /// It is told of what happens to names that begin so; to all if that is `nil`.
        var watch: LockName??
        /// What it was not told of.
        var missedCount: UInt64 = 0
    }
}
