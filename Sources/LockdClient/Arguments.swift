import LockdModel
import LockdWire

// What callers ask for, checked before anything is sent.

extension AcquireTerms {
    /// The request, if every value is in its range.
    init(
        _ names: [String],
        mode: LeaseMode,
        waitTimeout: Duration?,
        maxQueue: Int?,
        ttl: Duration?,
        owner: String?,
        note: String?,
        progress: Duration? = nil
    ) throws(LockdClientError) {
        self.init(
            names: try LockNames(names),
            wait: try WaitTimeout(waitTimeout),
            queueLimit: try maxQueue.map(Self.queueLimit),
            holderLimit: try mode.holderLimit(),
            timeToLive: try ttl.map(Self.timeToLive),
            owner: try Self.text(owner ?? LeaseOwner.current, "the owner", limit: Text.shortLimit),
            note: try Self.text(note, "the note", limit: Text.longLimit),
            progress: try progress.map(Self.progress)
        )
        // One name is far from the limit of a line, whatever is in it.
        if self.names.count > 1 { try checkLineLength() }
    }

    /// Names of which many bytes need escapes can be too many for one line, although there are few of them.
    private func checkLineLength() throws(LockdClientError) {
        var line: [UInt8] = []
        RequestEncoder.encode(TaggedRequest(tag: Tag(.max), .acquire(self)), to: &line)
        let limit = ProtocolLimits.lineByteCount
        guard line.count <= limit else {
            throw .invalidArgument("the request for \(names.quoted) has \(line.count) bytes; it can have \(limit)")
        }
    }

    private static func queueLimit(_ count: Int) throws(LockdClientError) -> Int {
        guard (0...ProtocolLimits.queueLimit).contains(count) else {
            throw .invalidArgument("maxQueue is \(count); it can be 0 to \(ProtocolLimits.queueLimit)")
        }
        return count
    }

    static func timeToLive(_ duration: Duration) throws(LockdClientError) -> Milliseconds {
        let timeToLive = try Milliseconds(roundingUp: duration, "the ttl")
        if timeToLive.count == 0 { throw .invalidArgument("the ttl is zero: the lease would end as it begins") }
        return timeToLive
    }

    private static func progress(_ interval: Duration) throws(LockdClientError) -> Milliseconds {
        let progress = try Milliseconds(roundingUp: interval, "the interval of the reports")
        guard progress >= .shortestProgress else {
            throw .invalidArgument("the interval of the reports is \(interval); it can be 100 milliseconds to 366 days")
        }
        return progress
    }

    private static func text(_ text: String?, _ what: String, limit: Int) throws(LockdClientError) -> Text? {
        guard let text else { return nil }
        do {
            return try Text(text, limit: limit)
        } catch {
            throw .invalidArgument("\(what) has \(text.utf8.count) bytes; it can have 1 to \(limit), or be left out")
        }
    }
}

extension WaitTimeout {
    fileprivate init(_ duration: Duration?) throws(LockdClientError) {
        guard let duration else {
            self = .never
            return
        }
        let timeout = try Milliseconds(roundingUp: duration, "the wait timeout")
        self = timeout.count == 0 ? .none : .after(timeout)
    }
}

extension Milliseconds {
    init(roundingUp duration: Duration, _ what: String) throws(LockdClientError) {
        guard (.zero ... .milliseconds(Milliseconds.maximum.count)).contains(duration) else {
            throw .invalidArgument("\(what) is \(duration); it can be 0 to 366 days")
        }
        let attosecondsPerMillisecond: Int64 = 1_000_000_000_000_000
        let (seconds, attoseconds) = duration.components
        self.init(seconds * 1000 + (attoseconds + attosecondsPerMillisecond - 1) / attosecondsPerMillisecond)
    }
}

extension LockNames {
    init(_ strings: [String]) throws(LockdClientError) {
        var all: LockNames?
        for string in strings {
            let name = try LockName(argument: string)
            guard let before = all else {
                all = LockNames(name)
                continue
            }
            if before.contains(name) { throw .invalidArgument("\(name.quoted) is named twice in one request") }
            guard let more = before.adding(name) else { throw .wrongNumberOfNames(strings.count) }
            all = more
        }
        guard let all else { throw .wrongNumberOfNames(0) }
        self = all
    }
}

extension LockName {
    init(argument string: String) throws(LockdClientError) {
        do {
            self = try LockName(string)
        } catch {
            throw .invalidName(string, error)
        }
    }
}

extension LockdClientError {
    fileprivate static func wrongNumberOfNames(_ count: Int) -> Self {
        .invalidArgument("a lease is on 1 to \(LockNames.maximumCount) names, and \(count) are asked for")
    }
}
