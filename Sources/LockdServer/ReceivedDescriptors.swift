import LockdModel

/// The descriptors that came with a session's bytes and that no line has claimed yet, in the order in which they came.
struct ReceivedDescriptors {
    /// How many wait at the most: a line claims one, and of what comes later no more is read before the lines that are there were taken.
    static let limit = 16

    private let user: UserID
    private let loose: LooseDescriptors
    private var waiting: [CInt] = []

    /// None so far, from sessions of `user`.
    init(of user: UserID, _ loose: LooseDescriptors) {
        self.user = user
        self.loose = loose
    }

    var isEmpty: Bool { waiting.isEmpty }

    /// Puts a descriptor, which is counted as loose, behind the others, or closes it if there are too many.
    mutating func append(_ descriptor: CInt) {
        if waiting.count < Self.limit {
            waiting.append(descriptor)
        } else {
            loose.close(descriptor, of: user)
        }
    }

    /// Hands the oldest one over, if there is one.
    mutating func takeFirst() -> CInt? {
        if waiting.isEmpty { return nil }
        loose.takeOne(of: user)
        return waiting.removeFirst()
    }

    /// Closes them all.
    mutating func removeAll() {
        for descriptor in waiting { loose.close(descriptor, of: user) }
        waiting.removeAll()
    }
}
