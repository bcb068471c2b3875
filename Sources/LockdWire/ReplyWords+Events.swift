import LockdModel

/// Events: lines that were not asked for.
extension ReplyWords {
    /// The event that the line says, or `nil` if this version knows no such event.
    mutating func event() throws(ReplyProblem) -> Reply? {
        guard let verb = EventVerb(rawValue: .verbatim(try argument("event"))) else { return nil }
        switch verb {
        case .lost:
            guard hasArgument else { return .lostEverything(reason: try lossReason()) }
            return .lost(try names(), token: try token(), reason: try lossReason())
        case .restored:
            return .restored(
                try required("session", SessionID.init(decimal:)),
                Reply.Remainder(leaseCount: try leaseCount(), waiterCount: try waiterCount())
            )
        case .queued:
            return .watched(
                .queued(try names(), by: try peer(), position: try position(), note: try text("note"))
            )
        case .unqueued:
            return .watched(
                .unqueued(try names(), by: try peer(), waited: try waited(), reason: try unqueueReason())
            )
        case .granted:
            return .watched(
                .granted(
                    try names(),
                    to: try peer(),
                    token: try token(),
                    waited: try waited(),
                    note: try text("note")
                )
            )
        case .released: return try over(.released)
        case .expired: return try over(.expired)
        case .revoked: return try over(.revoked)
        case .abandoned: return try over(.ended)
        case .missed: return .watched(.missed(count: try required("count", UInt64.init(decimal:))))
        }
    }

    private func unqueueReason() throws(ReplyProblem) -> WatchEvent.UnqueueReason {
        try required("reason") { WatchEvent.UnqueueReason(rawValue: .verbatim($0)) }
    }

    private mutating func over(_ outcome: LeaseOutcome) throws(ReplyProblem) -> Reply {
        .watched(
            .over(try names(), of: try peer(), outcome, token: try token(), held: try held(), note: try text("note"))
        )
    }
}
