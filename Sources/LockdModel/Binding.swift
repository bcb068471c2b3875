/// What a lease can live as long as, in place of its session.
public enum Binding: String, CaseIterable, Hashable, Sendable {
    /// The process of a pidfd.
    case pidfd
    /// The write end of a pipe, of which the daemon has the read end: until nobody has it open.
    case pipe
}
