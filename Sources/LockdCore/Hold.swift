public import LockdModel

/// A lease that has ended.
public struct Hold: Hashable, Sendable {
    private var plain: PlainHold
    /// The process that held it.
    public internal(set) var peer: Peer
    /// What the holder said about itself.
    public internal(set) var note: Text?

    /// The token of the lease.
    public var token: FencingToken { plain.token }
    /// How it ended.
    public var outcome: LeaseOutcome { plain.outcome }
    /// The session that held it.
    public var session: SessionID { plain.session }
    /// When it ended.
    public var endedAt: MonotonicInstant { plain.endedAt }
    /// How long it was waited for.
    public var waited: Milliseconds { plain.grantedAt - plain.arrivedAt }
    /// How long it was held.
    public var held: Milliseconds { plain.endedAt - plain.grantedAt }

    /// No lease at all: what is where one will be.
    static let placeholder = Hold(plain: .placeholder, peer: Peer(process: ProcessID(0), user: .overflow))

    /// How many bytes the texts have.
    var textByteCount: Int {
        peer.command.spellingByteCount + peer.unit.spellingByteCount + note.spellingByteCount
    }

    /// Makes it another lease, without peer and note; says whether these are to be left as they are if that has no note.
    mutating func replace(with other: PlainHold) -> Bool {
        let isSilent = plain.session == other.session && note == nil
        plain = other
        return isSilent
    }
}

/// What is remembered of a lease and needs no memory of its own.
struct PlainHold: Hashable, Sendable {
    var token: FencingToken
    var outcome: LeaseOutcome
    var session: SessionID
    var arrivedAt: MonotonicInstant
    var grantedAt: MonotonicInstant
    var endedAt: MonotonicInstant

    static let placeholder = PlainHold(
        token: FencingToken(0),
        outcome: .released,
        session: SessionID(0),
        arrivedAt: .distantFuture,
        grantedAt: .distantFuture,
        endedAt: .distantFuture
    )
}

extension Text? {
    fileprivate var spellingByteCount: Int { self?.spelling.utf8.count ?? 0 }
}
