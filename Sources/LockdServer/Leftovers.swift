import Glibc
import LockdCore
import LockdModel
import Logging

/// What the daemon before has left.
struct Leftovers {
    /// Where its log is, and the next one will be.
    private let path: String
    private let origin: LogOrigin
    let contents: LogContents
    /// There was a log, of this boot.
    let wasThere: Bool
    /// What was kept of connections and of what leases are bound to, each to be taken once; what is left belongs to nothing in the log.
    private(set) var descriptors: [DescriptorBag.Item: CInt]
    private var taken: Set<FileIdentity> = []

    /// Reads the log beside the socket, and looks into the bags of descriptors that were kept.
    ///
    /// A damaged log is kept, for whoever wants to look at it.
    ///
    /// - Parameter now: the present instant of CLOCK_MONOTONIC.
    /// - Throws: an error that says what to do, if the log is to be left as it is.
    static func read(
        _ configuration: ServerConfiguration,
        bags: [(name: String, descriptor: CInt)],
        at now: MonotonicInstant,
        _ logger: Logger
    ) throws -> Leftovers {
        let path = configuration.socketPath + ".log"
        let origin = try LogOrigin.current()
        var (contents, wasThere) = (LogContents(), false)
        if configuration.keepsLog, case .contents(let found) = try LogReader.read(path, origin: origin) {
            if let damage = found.damage { keep(path, damage, logger) }
            (contents, wasThere) = (found, true)
        }
        let descriptors = DescriptorBag.contents(of: bags)
        if !wasThere, !descriptors.isEmpty {
            // There are clients, and nothing is known of them.
            contents.damage = "it is gone"
            logger.error("the log is gone, so all leases are lost", metadata: ["log": "\(path)"])
        }
        contents.lastSession = descriptors.keys.map(\.session).reduce(contents.lastSession, max)
        if !wasThere || contents.damage != nil {
            // Somebody may want to resume a session of which nothing is known, and must not find another one under its number. Nobody begins a session in every
            // microsecond of the boot, so none has had these numbers.
            contents.lastSession = max(contents.lastSession, SessionID(UInt64(max(0, now.nanoseconds / 1000))))
        }
        return Leftovers(path, origin, contents, wasThere: wasThere, descriptors)
    }

    private init(
        _ path: String,
        _ origin: LogOrigin,
        _ contents: LogContents,
        wasThere: Bool,
        _ descriptors: [DescriptorBag.Item: CInt]
    ) {
        (self.path, self.origin, self.contents) = (path, origin, contents)
        (self.wasThere, self.descriptors) = (wasThere, descriptors)
    }

    /// The descriptor that was kept for something, for the caller to own.
    mutating func takeDescriptor(_ item: DescriptorBag.Item) -> CInt? {
        guard let descriptor = descriptors.removeValue(forKey: item) else { return nil }
        taken.insert(FileIdentity(of: descriptor))
        return descriptor
    }

    /// The connections of which the log knows nothing, for the caller to own.
    mutating func takeUnknownConnections() -> [(session: SessionID, descriptor: CInt)] {
        defer { descriptors.removeAll() }
        var unknown: [(session: SessionID, descriptor: CInt)] = []
        for (item, descriptor) in descriptors {
            // The connection with which a session was resumed is kept under the number, too, that it had before.
            if item.isBound || taken.contains(FileIdentity(of: descriptor)) {
                close(descriptor)
            } else {
                unknown.append((item.session, descriptor))
            }
        }
        return unknown.sorted { $0.session < $1.session }
    }

    /// Gives a damaged log another name as well: the one that it has, this daemon's log takes when all that is left of it is in there.
    private static func keep(_ path: String, _ damage: String, _ logger: Logger) {
        let newPath = path + ".damaged"
        unlink(newPath)
        if link(path, newPath) == -1 { rename(path, newPath) }
        logger.error(
            "the log is damaged, going on with the part of it that is not",
            metadata: ["damage": "\(damage)", "log": "\(newPath)"]
        )
    }

    /// The log of this daemon: one of its own, or, where there is no room for two, the former one.
    ///
    /// - Throws: ``SystemError`` if there is no room and the former one cannot be gone on with, or anything else stands in the way.
    func makeLog() throws -> WriteAheadLog {
        do {
            return try WriteAheadLog(path: path, origin: origin, capacity: capacity)
        } catch let error as SystemError where error.number == ENOSPC {
            guard wasThere, contents.damage == nil, !contents.isForeign else { throw error }
            return try WriteAheadLog(goingOnAt: path, origin: origin)
        }
    }

    /// How large the next log should be to begin with.
    private var capacity: Int {
        let bytes =
            contents.outputs.values.reduce(0) { $0 + $1.lines.count }
            + contents.inputs.values.reduce(0) { $0 + $1.bytes.count }
            + contents.claims.reduce(0) { $0 + LogRing.headerByteCount + $1.loggedByteCount }
            + contents.sessions.reduce(0) { $0 + LogRing.headerByteCount + $1.loggedByteCount }
        // No record takes eight bytes more than what it says.
        let padding = 8 * (contents.claims.count + contents.sessions.count)
        return WriteAheadLog.Sizes().capacity(for: bytes + padding)
    }

    /// The lock table as it was.
    func table(
        limits: Limits,
        tokens: ClosedRange<FencingToken>,
        at now: MonotonicInstant,
        _ logger: Logger
    ) -> LockTable {
        var record = TableRecord()
        record.sessions = contents.sessions.map { session in
            var record = session.table
            // Before anything is granted: who is not there is granted nothing.
            let isConnected = descriptors[.init(session: record.id, isBound: false)] != nil
            record.detachedAt = isConnected || record.isBound ? nil : record.detachedAt ?? now
            return record
        }
        record.claims = contents.claims
        var problems: [String] = []
        let table = LockTable(
            limits: limits,
            firstToken: tokens.lowerBound,
            reservedThrough: tokens.upperBound,
            restoring: record,
            downtime: (min(contents.aliveAt ?? now, now), now),
            problems: &problems
        )
        if let first = problems.first {
            logger.error(
                "the log contradicts itself, dropping what does not fit",
                metadata: ["first": "\(first)", "count": "\(problems.count)"]
            )
        }
        return table
    }
}
