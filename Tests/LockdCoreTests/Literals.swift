import LockdCore
import LockdModel

/// Ours, and not the testing library's.
typealias Tag = LockdModel.Tag

extension LockName: ExpressibleByStringLiteral {
    init(stringLiteral spelling: String) {
        do {
            try self.init(spelling)
        } catch {
            preconditionFailure("\(spelling) is not a name: \(error)")
        }
    }
}

extension LockNames: ExpressibleByStringLiteral {
    /// Several names have spaces between them.
    init(stringLiteral spelling: String) {
        let names = spelling.split(separator: " ").map { LockName(stringLiteral: String($0)) }
        guard let first = names.first, let all = LockNames(first, Array(names.dropFirst())) else {
            preconditionFailure("\(spelling) are not names")
        }
        self = all
    }
}

extension Text: ExpressibleByStringLiteral {
    init(stringLiteral spelling: String) {
        do {
            try self.init(spelling, limit: Text.longLimit)
        } catch {
            preconditionFailure("\(spelling) is not a text: \(error)")
        }
    }
}

extension Tag: ExpressibleByStringLiteral {
    init(stringLiteral spelling: String) {
        var spelling = spelling
        guard let tag = spelling.withUTF8({ Tag(parsing: UnsafeRawBufferPointer($0)) }) else {
            preconditionFailure("\(spelling) is not a tag")
        }
        self = tag
    }
}

extension FencingToken: ExpressibleByIntegerLiteral {
    init(integerLiteral value: UInt64) { self.init(value) }
}

extension AcquireRequest {
    /// A request that waits for ever and asks for nothing else, unless said otherwise.
    init(
        _ id: RequestID,
        _ names: LockNames,
        wait: WaitTimeout = .never,
        queueLimit: Int? = nil,
        holderLimit: HolderLimit = .exclusive,
        timeToLive: Milliseconds? = nil,
        owner: Text? = nil,
        note: Text? = nil,
        progress: Milliseconds? = nil,
        boundHolder: BoundHolder? = nil
    ) {
        var terms = AcquireTerms(names: names, wait: wait, timeToLive: timeToLive, owner: owner, note: note)
        (terms.queueLimit, terms.holderLimit) = (queueLimit, holderLimit)
        terms.progress = progress
        self.init(id, terms, boundHolder: boundHolder)
    }

    var names: LockNames { terms.names }
    var wait: WaitTimeout { terms.wait }
    var holderLimit: HolderLimit { terms.holderLimit }
    var timeToLive: Milliseconds? { terms.timeToLive }
    var owner: Text? { terms.owner }
    var progress: Milliseconds? { terms.progress }
    var note: Text? { terms.note }
}

extension Event {
    /// A session of some process of `user`.
    static func sessionOpened(_ id: SessionID, user: UserID) -> Event {
        .sessionOpened(id, Peer(process: ProcessID(Int32(id.value)), user: user, command: "worker"))
    }
}

extension Effect {
    /// The same, as if the holder before had left nothing behind: most tests are not about that.
    var withoutPredecessor: Effect {
        guard case .sendGranted(let id, let name, let token, let timeToLive, _) = self else { return self }
        return .sendGranted(id, name, token: token, timeToLive: timeToLive, after: .unremarkable)
    }

    /// The same without the reasons for a deadlock, which have tests of their own.
    var withoutEdges: Effect {
        guard case .sendDeadlock(let id, let names, _) = self else { return self }
        return .sendDeadlock(id, names, [])
    }

    /// What a grant says of the holder before.
    var abandonment: Abandonment? {
        guard case .sendGranted(_, _, _, _, .abandoned(let abandonment)) = self else { return nil }
        return abandonment
    }
}

extension ProcessID: ExpressibleByIntegerLiteral {
    init(integerLiteral value: Int32) { self.init(value) }
}
