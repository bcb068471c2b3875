public import LockdModel

/// Who may do what to somebody else's leases: the one place for such rules.
///
/// Whoever may connect may acquire and look; names belong to nobody.
public enum Rights {
    /// Whether `user` may take, release or renew leases of `other`, or bind leases to its processes.
    ///
    /// The overflow uid stands for many users, so it gives no right over others.
    public static func extend(from user: UserID, to other: UserID) -> Bool {
        user == .root || (user == other && user != .overflow)
    }
}
