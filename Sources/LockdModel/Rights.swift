/// Who may do something about what is another's: the same user, or root. The one place for such rules.
///
/// Whoever may connect may acquire and look; names belong to nobody.
extension UserID {
    /// Whether this user may act on what belongs to `user`.
    ///
    /// The overflow uid stands for many users, so it gives no right over others, not even those of the same number.
    public func mayAct(for user: UserID) -> Bool {
        self == .root || (self == user && self != .overflow)
    }
}
