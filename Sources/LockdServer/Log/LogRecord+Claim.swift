import LockdCore
import LockdModel

/// How a claim is recorded: what is always there, a word that says what else there is, and that.
extension ClaimRecord {
    private static let fixedByteCount = 8 * 8

    private struct Parts: OptionSet {
        let rawValue: UInt16
        static let token = Parts(rawValue: 1 << 0)
        static let timeToLive = Parts(rawValue: 1 << 1)
        static let deadline = Parts(rawValue: 1 << 2)
        static let progress = Parts(rawValue: 1 << 3)
        static let boundHolder = Parts(rawValue: 1 << 4)
        static let holdsUpOwner = Parts(rawValue: 1 << 5)
        static let owner = Parts(rawValue: 1 << 6)
        static let note = Parts(rawValue: 1 << 7)
    }

    private var parts: Parts {
        var parts: Parts = []
        if token != nil { parts.insert(.token) }
        if timeToLive != nil { parts.insert(.timeToLive) }
        if deadline != nil { parts.insert(.deadline) }
        if progress != nil { parts.insert(.progress) }
        if boundHolder != nil { parts.insert(.boundHolder) }
        if holdsUpOwner { parts.insert(.holdsUpOwner) }
        if owner != nil { parts.insert(.owner) }
        if note != nil { parts.insert(.note) }
        return parts
    }

    /// How many bytes it takes in the log, at the most.
    var loggedByteCount: Int {
        var count = Self.fixedByteCount + 2 + LogWriter.byteCount(of: id.tag) + LogWriter.byteCount(of: names) + 4 * 8
        if owner != nil { count += LogWriter.byteCount(of: owner) }
        if note != nil { count += LogWriter.byteCount(of: note) }
        if let boundHolder { count += 8 + LogWriter.byteCount(of: boundHolder.peer) }
        return count
    }

    func write(to writer: inout LogWriter) {
        writer.put(parts.rawValue)
        writer.put(id.tag)
        writer.put(id.session.value)
        writer.put(session.value)
        writer.put(Int64(holderLimit.count))
        writer.put(arrival)
        writer.put(arrivedAt.nanoseconds)
        writer.put(since.nanoseconds)
        writer.put(names)
        if let token { writer.put(token.value) }
        if let timeToLive { writer.put(timeToLive.count) }
        if let deadline { writer.put(deadline.nanoseconds) }
        if let progress { writer.put(progress.count) }
        if owner != nil { writer.put(owner) }
        if note != nil { writer.put(note) }
        if let boundHolder {
            writer.put(boundHolder.session.value)
            writer.put(boundHolder.peer)
        }
    }

    init(_ parser: inout LogParser) throws(LogParser.Problem) {
        let parts = Parts(rawValue: try parser.number())
        let tag = try parser.tag()
        let (asker, session) = (SessionID(try parser.number()), SessionID(try parser.number()))
        let limit = Int(try parser.number(Int64.self))
        let (arrival, arrivedAt) = (try parser.number(UInt64.self), try parser.number(Int64.self))
        let since = try parser.number(Int64.self)
        guard limit > 0 else { throw LogParser.Problem() }
        self.init(
            id: RequestID(asker, tag: tag),
            session: session,
            names: try parser.names(),
            holderLimit: HolderLimit(limit),
            holdsUpOwner: parts.contains(.holdsUpOwner),
            arrival: arrival,
            arrivedAt: MonotonicInstant(nanoseconds: arrivedAt),
            since: MonotonicInstant(nanoseconds: since)
        )
        if parts.contains(.token) { token = FencingToken(try parser.number()) }
        if parts.contains(.timeToLive) { timeToLive = try parser.milliseconds() }
        if parts.contains(.deadline) { deadline = MonotonicInstant(nanoseconds: try parser.number()) }
        if parts.contains(.progress) { progress = try parser.milliseconds() }
        if parts.contains(.owner) { owner = try parser.text() }
        if parts.contains(.note) { note = try parser.text() }
        if parts.contains(.boundHolder) {
            boundHolder = BoundHolder(session: SessionID(try parser.number()), peer: try parser.peer())
        }
    }
}

/// The same record, written in one go: most claims are plain.
extension PlainClaim {
    /// How many bytes it takes in the log, exactly.
    @inline(__always)
    var loggedByteCount: Int {
        let tag = id.tag?.byteCount ?? 0
        return 2 + 1 + tag + 8 * 6 + 3 + name.spelling.utf8.count + (token == nil ? 0 : 8)
    }

    @inline(__always)
    func write(to start: UnsafeMutableRawPointer) {
        start.storeBytes(of: token == nil ? 0 : 1, as: UInt16.self)
        // Zeros behind the tag are written over by what follows, which is longer.
        let tag = id.tag?.copyCharacters(to: start + 3) ?? 0
        start.storeBytes(of: UInt8(tag), toByteOffset: 2, as: UInt8.self)
        let numbers = start + 3 + tag
        numbers.storeBytes(of: id.session.value, as: UInt64.self)
        numbers.storeBytes(of: id.session.value, toByteOffset: 8, as: UInt64.self)
        numbers.storeBytes(of: 1, toByteOffset: 16, as: Int64.self)
        numbers.storeBytes(of: arrival, toByteOffset: 24, as: UInt64.self)
        numbers.storeBytes(of: arrivedAt.nanoseconds, toByteOffset: 32, as: Int64.self)
        numbers.storeBytes(of: since.nanoseconds, toByteOffset: 40, as: Int64.self)
        var writer = LogWriter(numbers + 48)
        writer.put(UInt8(1))
        writer.put(name.spelling)
        if let token { writer.put(token.value) }
    }
}
