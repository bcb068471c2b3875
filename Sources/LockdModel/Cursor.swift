/// A place in a listing, between two of its lines.
///
/// Clients carry it from one page to the next and read nothing into it.
public struct Cursor: Hashable, Sendable, CustomStringConvertible {
    /// The place of the lock in the lock table.
    public var lock: UInt64
    /// The last line of that lock that was listed.
    public var line: UInt64

    /// The place behind `line` of `lock`.
    public init(lock: UInt64, line: UInt64) {
        self.lock = lock
        self.line = line
    }

    /// The cursor as the protocol spells it.
    public var description: String { "\(lock).\(line)" }
}
