import LockdCore
import LockdModel

/// How a session is recorded.
extension LogRecord.Session {
    private struct Parts: OptionSet {
        let rawValue: UInt16
        static let hasEnded = Parts(rawValue: 1 << 0)
        static let isBound = Parts(rawValue: 1 << 1)
        static let isDetached = Parts(rawValue: 1 << 2)
        static let hasSpoken = Parts(rawValue: 1 << 3)
        static let isResumable = Parts(rawValue: 1 << 4)
        static let watches = Parts(rawValue: 1 << 5)
        static let hasPrefix = Parts(rawValue: 1 << 6)
        static let hasPayer = Parts(rawValue: 1 << 7)
    }

    private var parts: Parts {
        var parts: Parts = []
        if table.endedAt != nil { parts.insert(.hasEnded) }
        if table.isBound { parts.insert(.isBound) }
        // Once it has ended, that no longer matters.
        if table.detachedAt != nil, table.endedAt == nil { parts.insert(.isDetached) }
        if table.payer != nil { parts.insert(.hasPayer) }
        if hasSpoken { parts.insert(.hasSpoken) }
        if isResumable { parts.insert(.isResumable) }
        if let watch {
            parts.insert(.watches)
            if watch != nil { parts.insert(.hasPrefix) }
        }
        return parts
    }

    private var prefix: LockName? { watch ?? nil }

    /// How many bytes it takes in the log, at the most.
    var loggedByteCount: Int {
        2 + 8 * 8 + LogWriter.byteCount(of: table.peer) + LogWriter.byteCount(of: client)
            + 2 + (prefix?.spelling.utf8.count ?? 0)
    }

    func write(to writer: inout LogWriter) {
        writer.put(parts.rawValue)
        writer.put(table.id.value)
        writer.put(table.peer)
        writer.put((table.endedAt ?? table.detachedAt)?.nanoseconds ?? 0)
        writer.put(table.payer?.value ?? 0)
        writer.put(table.resumedThrough)
        writer.put(process)
        writer.put(client)
        writer.put(missedCount)
        if let prefix { writer.put(prefix.spelling) }
    }

    init(_ parser: inout LogParser) throws(LogParser.Problem) {
        let parts = Parts(rawValue: try parser.number())
        let (id, peer) = (SessionID(try parser.number()), try parser.peer())
        let instant = MonotonicInstant(nanoseconds: try parser.number())
        let payer = UserID(try parser.number())
        let resumedThrough = try parser.number(UInt64.self)
        let process = try parser.process()
        self.init(
            table: SessionRecord(
                id: id,
                peer: peer,
                endedAt: parts.contains(.hasEnded) ? instant : nil,
                isBound: parts.contains(.isBound),
                detachedAt: parts.contains(.isDetached) ? instant : nil,
                resumedThrough: resumedThrough,
                payer: parts.contains(.hasPayer) ? payer : nil
            ),
            process: process,
            client: try parser.text(),
            hasSpoken: parts.contains(.hasSpoken),
            isResumable: parts.contains(.isResumable)
        )
        missedCount = try parser.number()
        guard parts.contains(.watches) else { return }
        watch = .some(parts.contains(.hasPrefix) ? try parser.name() : nil)
    }
}

/// How what a lease is bound to is recorded.
extension LogRecord.Bound {
    /// How many bytes it takes in the log, at the most.
    var loggedByteCount: Int { 1 + 4 + 7 * 8 + LogWriter.byteCount(of: lease.peer) }

    func write(to writer: inout LogWriter) {
        let target = lease.target
        writer.put(UInt8(target.binding == .pidfd ? 0 : 1))
        writer.put(session.value)
        writer.put(lease.asker.value)
        writer.put(target.user.value)
        writer.put(target.process)
        writer.put(target.pipe)
        writer.put(target.peer)
    }

    init(_ parser: inout LogParser) throws(LogParser.Problem) {
        let binding: Binding = try parser.number(UInt8.self) == 0 ? .pidfd : .pipe
        let (session, asker) = (SessionID(try parser.number()), SessionID(try parser.number()))
        let user = UserID(try parser.number())
        let (process, pipe) = (try parser.process(), try parser.file())
        let target = BoundTarget(
            binding: binding,
            peer: try parser.peer(),
            user: user,
            process: process,
            pipe: pipe
        )
        self.init(session: session, lease: BoundLease(target: target, asker: asker))
    }
}
