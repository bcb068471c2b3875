import LockdCore
public import LockdModel

/// What the daemon takes on can change while it serves.
extension LockService {
    /// Takes on as much as `new` says from now on, see ``LockTable/change(_:)``; nothing ends by that.
    public mutating func change(_ new: Limits) {
        table.change(new)
        limits = new
        // Another amount is left for each of them. That is looked at when the turn ends.
        for user in users.values where !user.isChanged {
            user.isChanged = true
            changedUsers.append(user)
        }
    }
}
