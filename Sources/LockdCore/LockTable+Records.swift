public import LockdModel

/// What a daemon leaves to the next one: the sessions, and the requests that wait or hold.
public struct TableRecord: Hashable, Sendable {
    /// The sessions.
    public var sessions: [SessionRecord] = []
    /// What waits and holds.
    public var claims: [ClaimRecord] = []

    /// Nothing.
    public init() {}
}

extension LockTable {
    /// The claims and sessions that have changed since the last call, by slot, each once; those in a slot that is free now have gone.
    public mutating func takeChanges(claims: inout [Int], sessions: inout [Int]) { fatalError() }

    /// Takes note of a change of a session that the table knows nothing of.
    public mutating func noteChange(of session: SessionID) { fatalError() }

    /// The slot of a session.
    public func recordSlot(of session: SessionID) -> Int? { fatalError() }

    /// What is in a slot for claims; nothing if it is free.
    public mutating func claimRecord(in slot: Int) -> ClaimRecord? { fatalError() }

    /// What is in a slot for sessions; nothing if it is free.
    public mutating func sessionRecord(in slot: Int) -> SessionRecord? { fatalError() }

    /// A table that goes on from what is left of another one; `problems` say what of that was dropped, because it contradicts itself.
    public init(
        limits: Limits,
        firstToken: FencingToken,
        reservedThrough: FencingToken,
        restoring record: TableRecord,
        downtime: (from: MonotonicInstant, to: MonotonicInstant),
        problems: inout [String]
    ) { fatalError() }
}
