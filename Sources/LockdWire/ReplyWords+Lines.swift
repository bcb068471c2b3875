import LockdModel

/// The fields of one reply each.
extension ReplyWords {
    func welcome() throws(ReplyProblem) -> Reply.Welcome {
        Reply.Welcome(
            daemonVersion: try required("lockd", String.verbatim),
            version: try required("v", UInt64.init(decimal:)),
            session: try required("session", SessionID.init(decimal:)),
            process: try required("pid", ProcessID.init(decimal:)),
            features: try required("features") { $0.split(separator: UInt8(ascii: ",")).map(String.verbatim) },
            lineByteCount: try required("line", Int.init(decimal:)),
            nameByteCount: try required("name", Int.init(decimal:)),
            resumed: try remainder()
        )
    }

    /// What a session has that was resumed.
    private func remainder() throws(ReplyProblem) -> Reply.Remainder? {
        guard let leaseCount = try optional("leases", Int.init(decimal:)) else { return nil }
        return Reply.Remainder(leaseCount: leaseCount, waiterCount: try waiterCount())
    }

    mutating func granted() throws(ReplyProblem) -> Reply {
        let names = try names()
        return .granted(names, token: try token(), timeToLive: try timeToLive(), after: try predecessor())
    }

    private func predecessor() throws(ReplyProblem) -> Predecessor {
        // An ending that this version does not know is a newer daemon's: nothing is made of it.
        let ending = try optional("previous", String.verbatim).flatMap(Abandonment.Ending.init(rawValue:))
        guard let ending else { return .unremarkable }
        return .abandoned(
            Abandonment(
                ending,
                token: FencingToken(try required("previous-token", UInt64.init(decimal:))),
                process: try optional("previous-pid", ProcessID.init(decimal:)),
                user: try optional("previous-uid", UserID.init(decimal:)),
                command: try text("previous-command"),
                held: try required("previous-held", Milliseconds.init(spelling:)),
                note: try text("previous-note")
            )
        )
    }

    mutating func lease() throws(ReplyProblem) -> Reply.LeaseLine {
        Reply.LeaseLine(
            name: try name(),
            token: try token(),
            holderLimit: try holderLimit(),
            peer: try peer(),
            client: try text("client"),
            held: try held(),
            timeToLive: try timeToLive(),
            left: try optional("left", Milliseconds.init(spelling:)),
            owner: try text("owner"),
            note: try text("note"),
            nameCount: try nameCount(),
            binding: try binding(),
            detached: try optional("detached", Milliseconds.init(spelling:)),
            waiterCount: try waiterCount()
        )
    }

    mutating func waiter() throws(ReplyProblem) -> Reply.WaiterLine {
        Reply.WaiterLine(
            name: try name(),
            position: try position(),
            holderLimit: try holderLimit(),
            peer: try peer(),
            client: try text("client"),
            waited: try waited(),
            left: try optional("left", Milliseconds.init(spelling:)),
            timeToLive: try timeToLive(),
            owner: try text("owner"),
            note: try text("note"),
            nameCount: try nameCount(),
            detached: try optional("detached", Milliseconds.init(spelling:))
        )
    }

    private func nameCount() throws(ReplyProblem) -> Int { try optional("names", Int.init(decimal:)) ?? 1 }

    private func binding() throws(ReplyProblem) -> Binding? {
        // A kind of thing that this version does not know is a newer daemon's: nothing is made of it.
        try optional("bound", String.verbatim).flatMap(Binding.init(rawValue:))
    }

    mutating func hold() throws(ReplyProblem) -> Reply.HoldLine {
        Reply.HoldLine(
            name: try name(),
            token: try token(),
            outcome: try required("outcome") { LeaseOutcome(rawValue: .verbatim($0)) },
            peer: try peer(),
            waited: try waited(),
            held: try held(),
            ago: try required("ago", Milliseconds.init(spelling:)),
            note: try text("note")
        )
    }

    mutating func edge() throws(ReplyProblem) -> Reply.EdgeLine {
        Reply.EdgeLine(
            name: try name(),
            waiterProcess: try optional("waiter-pid", ProcessID.init(decimal:)),
            waiterOwner: try text("waiter-owner"),
            waiterSession: try optional("waiter-session", SessionID.init(decimal:)),
            holder: try holderPeer(),
            holderOwner: try text("holder-owner"),
            obstacle: try obstacle()
        )
    }

    private func obstacle() throws(ReplyProblem) -> Reply.EdgeLine.Obstacle {
        if let waited = try optional("waited", Milliseconds.init(spelling:)) { return .request(waited: waited) }
        return .lease(held: try held(), token: try token())
    }

    mutating func statistic() throws(ReplyProblem) -> Reply {
        let word = try argument("statistic")
        guard let equalsSign = word.offset(of: UInt8(ascii: "=")) else { throw .bad("statistic") }
        return .statistic(key: .verbatim(word[..<equalsSign]), value: .verbatim(word[(equalsSign + 1)...]))
    }

    mutating func error() throws(ReplyProblem) -> WireError {
        WireError(
            WireError.Code(rawValue: .verbatim(try argument("code"))),
            key: try text("key"),
            got: try text("got"),
            want: try optional("want", String.verbatim),
            limit: try optional("limit", Int.init(decimal:)),
            // Somebody else's limit that this version does not know is nobody's in particular.
            scope: try optional("scope", String.verbatim).flatMap(WireError.Scope.init(rawValue:))
        )
    }

    func lossReason() throws(ReplyProblem) -> Reply.LossReason {
        guard let reason = try text("reason") else { throw .missing("reason") }
        switch reason.spelling {
        case "expired": return .expired
        case "log-damaged": return .logDamaged
        case "revoked":
            return .revoked(
                by: try optional("by-uid", UserID.init(decimal:)),
                process: try optional("by-pid", ProcessID.init(decimal:)),
                why: try text("why")
            )
        default: return .other(reason)
        }
    }
}
