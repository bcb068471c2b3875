/// What the holder before left behind.
public enum Predecessor: Hashable, Sendable {
    /// Nothing to speak of: it released its lease, or there was none.
    case unremarkable
    /// A lease that it did not release, so that what it was doing may be half done.
    ///
    /// Indirect, because it is rare and large.
    indirect case abandoned(Abandonment)
}

extension Predecessor: Comparable {
    /// Whether `left` says less: nothing, or of a lease that was granted earlier.
    public static func < (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.unremarkable, .abandoned): true
        case (.abandoned(let left), .abandoned(let right)): left.token < right.token
        case (_, .unremarkable): false
        }
    }
}

/// The end of a lease that its holder did not release.
public struct Abandonment: Hashable, Sendable {
    /// How it ended.
    public enum Ending: String, Hashable, Sendable {
        /// With its session.
        case ended
        /// Its ttl ran out.
        case expired
        /// Somebody took it away.
        case revoked
    }

    /// How the lease ended.
    public var ending: Ending
    /// Its token.
    public var token: FencingToken
    /// The process that held it, as far as that is known.
    public var process: ProcessID?
    /// The user of that process.
    public var user: UserID?
    /// The kernel's command name of that process when it connected.
    public var command: Text?
    /// How long it was held.
    public var held: Milliseconds
    /// What the holder said about itself.
    public var note: Text?

    /// An end of this kind.
    public init(
        _ ending: Ending,
        token: FencingToken,
        process: ProcessID?,
        user: UserID?,
        command: Text?,
        held: Milliseconds,
        note: Text?
    ) {
        self.ending = ending
        self.token = token
        self.process = process
        self.user = user
        self.command = command
        self.held = held
        self.note = note
    }
}
