import LockdModel

/// What a session is told of that happens.
struct Watch {
    /// What the names begin with; `nil` for all names.
    let prefix: LockName?
    /// How much it was not told of, because so much lay unread.
    var missedCount: UInt64 = 0
    /// In the list of those with so much to read that it is written before the turn ends.
    var isCrowded = false
    /// Its socket took no more when it was tried last, and nothing was written since.
    var isStuck = false

    init(prefix: LockName?) { self.prefix = prefix }

    /// Whether it is told of what happens to a lease or request on `names`.
    func covers(_ names: LockNames) -> Bool {
        guard let prefix else { return true }
        return names.first.hasPrefix(prefix) || names.others.contains { $0.hasPrefix(prefix) }
    }
}
