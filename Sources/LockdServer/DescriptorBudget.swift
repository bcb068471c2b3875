/// How many descriptors there may be of each kind.
struct DescriptorBudget: Hashable {
    /// For everything else: the listener, files, what the standard library and the system's libraries open.
    static let keptBack = 64
    /// The most that leases and waits are bound to: each is one more thing that a client can leave behind and go.
    static let boundLimit = 4096
    /// The most that clients have sent and that are bound to nothing: eight messages with as many as the kernel takes.
    static let looseLimit = 2048

    /// How many sessions there may be, of two descriptors each.
    let sessions: Int
    /// How many descriptors leases and waits may be bound to.
    let bound: Int
    /// How many descriptors may be bound to nothing, because their line has not come yet or they are being closed.
    let loose: Int

    /// What a process can do that may have so many descriptors, if that many sessions are wanted.
    init(descriptorLimit: Int, sessionLimit: Int) {
        let available = max(0, descriptorLimit - Self.keptBack)
        bound = min(Self.boundLimit, available / 4)
        loose = min(Self.looseLimit, available / 8)
        sessions = max(1, min(sessionLimit, (available - bound - loose) / 2))
    }
}
