import LockdCore
public import LockdModel
import LockdWire

/// What is buffered for each user: counted when a turn ends, for the sessions that it has touched.
extension LockService {
    /// How many sessions of the user are connected.
    public func sessionCount(of user: UserID) -> Int { users[user]?.ids.count ?? 0 }

    /// Records that nothing can be read from the session or written to it any more.
    ///
    /// It has ended. Until then it counts as one of its user's, with what is buffered for it.
    public mutating func close(_ session: Session) {
        session.user.remove(session.id)
        if log != nil, session.state == .ended {
            // Nobody will read it.
            session.output.removeAll()
            recordBacklogLater(session)
        }
        if session.user.ids.count < limits.sessionsPerUser / 2 { session.user.hasWarnedOfSessions = false }
        count(session, as: 0)
    }

    /// Counts what is buffered, and lets those go on who may again.
    ///
    /// The turn is over: everything was written that could be. Returns the users of whom from now on as much is kept as may be; each once, until it was
    /// less than half of that.
    public mutating func settleUsers(at now: MonotonicInstant) -> [UserID] {
        if changedUsers.isEmpty, nearlyFullUsers.isEmpty { return [] }
        while let user = changedUsers.popLast() { settle(user, at: now) }
        for user in nearlyFullUsers { settle(user, at: now) }
        nearlyFullUsers.removeAll { !$0.isNearlyFull }
        defer { newlyFullUsers.removeAll() }
        return newlyFullUsers
    }

    /// The sessions of a user, for one more.
    func sessions(of user: UserID) -> UserSessions { users[user] ?? UserSessions(user) }

    /// Counts what is buffered for a session, if that is not what was counted last.
    mutating func count(_ session: Session) {
        if session.bufferedByteCount != session.countedByteCount { recount(session) }
    }

    /// Sees to it that a session is counted when the turn ends.
    ///
    /// If it is much that it was told, its user's sessions may have to stop before that; the table is told of nothing that is going to be written.
    mutating func countLater(_ session: Session) {
        guard session.bufferedByteCount != session.countedByteCount else { return }
        markDirty(session)
        if session.output.count > UserSessions.outputPerTurn {
            recount(session)
            let user = session.user
            if user.bufferedByteCount - user.toldByteCount >= table.bytesLeft(for: user.user) { user.isFull = true }
        }
    }

    /// The most lines of a page for the session.
    func lineLimit(of page: Request.Page, for session: Session) -> Int {
        let limit = page.lineLimit ?? ProtocolLimits.pageLineCount
        return session.user.isFull ? min(limit, UserSessions.pageLineCountWhenFull) : limit
    }

    private mutating func recount(_ session: Session) {
        // What is behind the last line is not going to be taken.
        if session.state == .ended { session.input = LineFramer(limit: ProtocolLimits.lineByteCount) }
        count(session, as: session.bufferedByteCount)
    }

    private mutating func count(_ session: Session, as count: Int) {
        session.user.bufferedByteCount += count - session.countedByteCount
        session.countedByteCount = count
        guard !session.user.isChanged else { return }
        session.user.isChanged = true
        changedUsers.append(session.user)
    }

    private mutating func settle(_ user: UserSessions, at now: MonotonicInstant) {
        if user.isChanged {
            user.isChanged = false
            user.toldByteCount = user.bufferedByteCount
            apply(.bytesBuffered(user.user, user.bufferedByteCount), at: now)
        }
        let bytesLeft = table.bytesLeft(for: user.user)
        if bytesLeft <= 0 {
            user.isFull = true
            if !user.isNearlyFull {
                user.isNearlyFull = true
                nearlyFullUsers.append(user)
                newlyFullUsers.append(user.user)
            }
        } else if user.isFull {
            user.isFull = false
            letGoOn(user)
        }
        if bytesLeft > limits.bytesPerUser / 2 { user.isNearlyFull = false }
        if user.ids.isEmpty, !user.isNearlyFull, users[user.user] === user { users[user.user] = nil }
    }

    /// Lets the sessions go on that have replies waiting, which was too much before.
    private mutating func letGoOn(_ user: UserSessions) {
        for id in user.ids.sorted() {
            if let session = sessions[id], session.state == .open, !session.output.isEmpty { makeRunnable(session) }
        }
    }
}
