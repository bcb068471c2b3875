import LockdModel

/// The sessions of one user that are connected, and what is buffered for all of them.
final class UserSessions {
    let user: UserID
    private(set) var ids: Set<SessionID> = []
    /// The bytes that they have sent and that were not taken, or that they were told and that were not written, when each was last looked at.
    var bufferedByteCount = 0
    /// What the table was told of that.
    var toldByteCount = 0
    /// The table is to be told how much it is now.
    var isChanged = false
    /// From when all is kept for the user that may be until it is less than half of that.
    var isNearlyFull = false
    /// As much is kept for the user as may be: nothing more is done for a session before it has read its replies.
    var isFull = false { didSet { outputLimit = isFull ? 0 : LockService.outputLimit } }
    /// How many bytes of replies may wait for a session before its requests are left unread.
    private(set) var outputLimit = LockService.outputLimit
    /// How much the searches for deadlocks have looked at in this turn that they have caused.
    var searchCost = 0
    /// Somebody was told that there are as many sessions as may be, and they have not become much fewer since.
    var hasWarnedOfSessions = false

    /// The most lines of a page, and the most bytes that are read from a session in one turn, while as much is kept as may be.
    static let (pageLineCountWhenFull, inputPerTurnWhenFull) = (8, 4096)
    /// A session that has more replies waiting is counted at once, and not only when the turn ends.
    static let outputPerTurn = 4096

    init(_ user: UserID) { self.user = user }

    func add(_ session: SessionID) { ids.insert(session) }
    func remove(_ session: SessionID) { ids.remove(session) }
}
