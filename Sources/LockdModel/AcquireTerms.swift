/// What a request for a lease asks for.
public struct AcquireTerms: Hashable, Sendable {
    /// The names that the lease is to be on.
    public var names: LockNames
    /// How long the request may queue, from the moment its line is read.
    public var wait: WaitTimeout
    /// How many others may wait already, for this request to queue; `nil` for any number.
    public var queueLimit: Int?
    /// How many holders the lease tolerates.
    public var holderLimit: HolderLimit
    /// The longest the lease may be held without renewal; `nil` for no bound.
    public var timeToLive: Milliseconds?
    /// The logical thread within the session, if the client names one.
    public var owner: Text?
    /// What the holder says about itself to whoever looks.
    public var note: Text?
    /// How often to say how the wait goes, at most; `nil` for never.
    public var progress: Milliseconds?
    /// What the lease is to live as long as; `nil` for its session.
    public var binding: Binding?

    /// A request for `names` that waits for ever and asks for nothing else, unless said otherwise.
    @inlinable
    public init(
        names: LockNames,
        wait: WaitTimeout = .never,
        queueLimit: Int? = nil,
        holderLimit: HolderLimit = .exclusive,
        timeToLive: Milliseconds? = nil,
        owner: Text? = nil,
        note: Text? = nil,
        progress: Milliseconds? = nil,
        binding: Binding? = nil
    ) {
        self.names = names
        self.wait = wait
        self.queueLimit = queueLimit
        self.holderLimit = holderLimit
        self.timeToLive = timeToLive
        self.owner = owner
        self.note = note
        self.progress = progress
        self.binding = binding
    }
}

extension AcquireTerms {
    /// A request for `name` alone that waits for ever and asks for nothing else, unless said otherwise.
    @inlinable
    public init(
        name: LockName,
        wait: WaitTimeout = .never,
        queueLimit: Int? = nil,
        holderLimit: HolderLimit = .exclusive,
        timeToLive: Milliseconds? = nil,
        owner: Text? = nil,
        note: Text? = nil,
        progress: Milliseconds? = nil,
        binding: Binding? = nil
    ) {
        self.init(
            names: LockNames(name),
            wait: wait,
            queueLimit: queueLimit,
            holderLimit: holderLimit,
            timeToLive: timeToLive,
            owner: owner,
            note: note,
            progress: progress,
            binding: binding
        )
    }
}
