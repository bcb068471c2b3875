import LockdModel

/// A connection that is to be made.
struct ConnectionAttempt: Sendable {
    let id: ConnectionID
    /// How long to wait for room in the daemon's backlog; `nil` for not at all.
    let timeout: Milliseconds?

    /// How long a first connection may wait for room in the daemon's backlog.
    static let patience = Milliseconds.seconds(5)
}
