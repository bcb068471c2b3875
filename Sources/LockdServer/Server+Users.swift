import LockdModel
import LockdWire
import Logging

/// What the server says of users who have as much as they may have.
extension Server {
    /// Why there is no room for a session of this peer, if there is none.
    func refusal(of peer: Peer) -> WireError? {
        let isExempt = service.limits.exempts(peer.user)
        if !isExempt, service.sessionCount(of: peer.user) >= service.limits.sessionsPerUser {
            return WireError(.tooManySessions, limit: service.limits.sessionsPerUser, scope: .user)
        }
        let reserved = isExempt ? 0 : min(service.limits.reservedSessions, sessionLimit - 1)
        if connections.count >= sessionLimit - reserved {
            return WireError(.tooManySessions, limit: sessionLimit, scope: .daemon)
        }
        return nil
    }

    /// Says once that a user has as many sessions as it may have, until they have become much fewer.
    func warnOfSessions(of peer: Peer) {
        let sessions = service.sessions(of: peer.user)
        guard !sessions.hasWarnedOfSessions else { return }
        sessions.hasWarnedOfSessions = true
        logger.warning(
            "too many sessions of a user, refusing new ones",
            metadata: [
                "sessions-per-user.limit": "\(service.limits.sessionsPerUser)", "peer.uid": "\(peer.user)",
                "peer.pid": "\(peer.process)",
            ]
        )
    }

    func warnOfBytes(of user: UserID) {
        logger.warning(
            "as much is kept for a user as may be, refusing its requests",
            metadata: ["bytes-per-user.limit": "\(service.limits.bytesPerUser)", "uid": "\(user)"]
        )
    }
}
