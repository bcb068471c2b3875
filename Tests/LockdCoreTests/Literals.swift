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
        _ name: LockName,
        wait: WaitTimeout = .never,
        queueLimit: Int? = nil,
        holderLimit: HolderLimit = .exclusive,
        timeToLive: Milliseconds? = nil,
        owner: Text? = nil,
        note: Text? = nil
    ) {
        var terms = AcquireTerms(name: name, wait: wait, timeToLive: timeToLive, owner: owner, note: note)
        (terms.queueLimit, terms.holderLimit) = (queueLimit, holderLimit)
        self.init(id, terms)
    }

    var name: LockName { terms.name }
    var wait: WaitTimeout { terms.wait }
    var holderLimit: HolderLimit { terms.holderLimit }
    var timeToLive: Milliseconds? { terms.timeToLive }
    var owner: Text? { terms.owner }
    var note: Text? { terms.note }
}
