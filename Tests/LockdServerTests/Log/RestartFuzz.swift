import Foundation
import LockdCore
import LockdModel
import LockdWire

@testable import LockdServer

/// A service with a log that is killed again and again, between any two steps of a turn, and gone on with by the next one, while sessions come and go.
///
/// What the next one finds is compared with what there was at the last commit, byte by byte.
struct RestartFuzz {
    /// What is wrong.
    struct Problem: Error, CustomStringConvertible { let description: String }

    /// The daemon has been killed.
    private struct Killed: Error {}

    /// So small that it goes round, and grows.
    private static let sizes = WriteAheadLog.Sizes(leastCapacity: 1 << 16, largestCapacity: 1 << 26, reserve: 4096)

    private let directory: TemporaryDirectory
    private let origin = LogOrigin(boot: 1, bootRest: 2, pidNamespace: 3)
    private var random: SeededNumbers
    private var lines: RandomLines
    private var service: LockService
    private var log: WriteAheadLog
    private let losses: LossQueue
    private let binder: FuzzBinder
    private let limits: Limits
    private var now = MonotonicInstant(nanoseconds: 1_000_000_000)
    private var clients: [FuzzClient] = []
    private var clientCount: UInt64 = 0
    private var committed = Committed()
    private var stamp: LogStamp?
    /// Bytes that were received and are not committed.
    private var receiving: [(session: SessionID, bytes: [UInt8])] = []
    private(set) var restartCount = 0
    private(set) var resumptionCount = 0
    private(set) var goneOnCount = 0

    private var path: String { directory.path + "/log" }

    init(seed: UInt64) throws {
        var limits = Limits()
        (limits.leasesPerSession, limits.leases, limits.waitersPerSession, limits.waiters) = (6, 12, 4, 9)
        (limits.endingsPerTurn, limits.locksPerPage) = (4, 3)
        directory = try TemporaryDirectory()
        (random, lines, self.limits) = (SeededNumbers(seed: seed), RandomLines(seed: seed), limits)
        let losses = LossQueue()
        self.losses = losses
        binder = FuzzBinder(path: directory.path + "/log")
        log = try WriteAheadLog(path: directory.path + "/log", origin: origin, capacity: 1 << 16, sizes: Self.sizes)
        service = Self.makeService(
            limits,
            log,
            LockTable(limits: limits, firstToken: FencingToken(1), reservedThrough: FencingToken(1 << 20)),
            losses,
            binder,
            now
        )
        _ = service.recordEverything(in: log)
        try publish()
    }

    private static func makeService(
        _ limits: Limits,
        _ log: WriteAheadLog,
        _ table: LockTable,
        _ losses: LossQueue,
        _ binder: FuzzBinder,
        _ now: MonotonicInstant
    ) -> LockService {
        LockService(
            identity: .init(version: "0.0.0", process: ProcessID(1), startTime: 0),
            limits: limits,
            tokens: BoundedTokens(reserved: 1 << 20),
            at: now,
            flush: { losses.append($0) },
            record: { _ in },
            flushWatcher: { _ in },
            binder: binder,
            log: log,
            logProblem: { what, why in preconditionFailure("\(what): \(why)") },
            table: table
        )
    }

    // MARK: A turn

    /// Takes a turn, which may be the last one of this daemon.
    mutating func takeTurn() throws {
        if random.chance(40) { now = now + Milliseconds(Int64(random.below(1500))) }
        do {
            service.passTime(at: now)
            try mayBeKilled()
            for _ in 0..<random.below(5) {
                try handleSomething()
                try mayBeKilled()
                if random.chance(30) { try commit() }
                try mayBeKilled()
            }
            service.resume(at: now)
            service.passTime(at: now)
            try mayBeKilled()
            try commit()
            try mayBeKilled()
            try write()
        } catch is Killed {
            try restart()
        }
        service.table.checkInvariants()
        for client in clients { try client.checkLines() }
    }

    private mutating func mayBeKilled() throws {
        if random.chance(3) { throw Killed() }
    }

    private mutating func handleSomething() throws {
        switch random.below(100) {
        case 0..<6 where clients.count < 10: open()
        case 6..<9: if let client = anyClient() { end(client) }
        default: if let client = anyClient() { try receive(from: client) }
        }
    }

    private mutating func anyClient() -> FuzzClient? {
        clients.isEmpty ? nil : clients[random.below(clients.count)]
    }

    private mutating func open() {
        clientCount += 1
        let process = ProcessIdentity(pidfd: FileIdentity(device: 1, number: clientCount), startTime: 0)
        let peer = Peer(process: ProcessID(Int32(clientCount)), user: UserID(UInt32(random.below(3))))
        let client = FuzzClient(service.open(peer, process, as: service.makeSessionID(), at: now))
        if random.chance(60) { client.unread = Array("HELLO client=c%20\n".utf8) }
        clients.append(client)
    }

    private mutating func end(_ client: FuzzClient) {
        // It may end before it comes back.
        if client.isAway, random.chance(70) { return }
        if random.chance(50) { service.endInput(of: client.session, at: now) }
        service.end(client.session, at: now)
    }

    /// What ``Server`` does with a session that may be read.
    private mutating func receive(from client: FuzzClient) throws {
        if client.isAway { return try comeBack(client) }
        guard client.session.wantsInput else { return }
        if random.chance(80) { client.unread += lines.bytes() }
        let bytes = Array(client.unread.prefix(1 + random.below(random.chance(50) ? 20 : 16 * 1024)))
        client.unread.removeFirst(bytes.count)
        guard !bytes.isEmpty else { return }
        try take(bytes, from: client.session)
        try takeResumption()
    }

    private mutating func take(_ bytes: [UInt8], from session: Session) throws {
        if !log.hasRoomToReceive { try commit() }
        log.beginReceiving(for: session.id).copyBytes(from: bytes)
        // As long as it is not noted how many they are, zeros at the end cannot be told from what was there before.
        if let last = bytes.lastIndex(where: { $0 != 0 }) {
            receiving.append((session.id, Array(bytes[...last])))
            try mayBeKilled()
            receiving.removeLast()
        }
        log.endReceiving(bytes.count)
        receiving.append((session.id, bytes))
        try mayBeKilled()
        bytes.withUnsafeBytes { service.receive($0, from: session, at: now) }
        try mayBeKilled()
        if service.isCommitDue { try commit() }
        try mayBeKilled()
    }

    private mutating func commit() throws {
        for seen in binder.takeStamps() where seen != stamp {
            throw Problem(description: "something was committed while a line was being taken")
        }
        service.commit(at: now)
        receiving = []
        noteCommit()
    }

    private mutating func noteCommit() {
        let stamp = LogStamp(of: path)
        if stamp != self.stamp { committed = Committed(of: &service, clients) }
        self.stamp = stamp
    }

    /// Writes some of what is to be told, losses first.
    private mutating func write() throws {
        while let (session, end) = losses.popFirst() {
            guard let client = clients.first(where: { $0.session === session }), !client.isAway else { continue }
            client.write(atMost: Int(clamping: end - min(end, session.output.sentByteCount)), wholeLines: true)
        }
        var batch: [Session] = []
        service.takeDirtySessions(into: &batch)
        let isWhole = random.chance(70)
        // Those that were told nothing may read what was there before.
        for client in clients where random.chance(50) || batch.contains(where: { $0 === client.session }) {
            guard !client.isAway else {
                service.outputWasWritten(of: client.session)
                continue
            }
            let room = random.chance(60) ? Int.max : random.below(300)
            client.write(atMost: room, wholeLines: isWhole)
            service.outputWasWritten(of: client.session)
            // A socket takes lines as a whole, unless it says that it has not; then that is recorded.
            if isWhole { try mayBeKilled() }
        }
        for client in clients where client.session.state == .ended && (client.session.output.isEmpty || client.isAway) {
            service.close(client.session)
            client.isLeft = true
        }
        clients.removeAll(where: \.isLeft)
        _ = service.settleUsers(at: now)
        service.noteWritten(at: now)
        noteCommit()
        for client in clients { client.noteWritten() }
        try mayBeKilled()
    }

    // MARK: The next daemon

    private mutating func restart() throws {
        restartCount += 1
        now = now + Milliseconds(Int64(random.below(1000)))
        let survive = random.chance(50)
        committed.freeze(clients)
        repeat { try restore(socketsSurvive: survive) } while random.chance(10)
        clients.removeAll(where: \.isLeft)
        try publish()
    }

    private mutating func publish() throws {
        log.noteAlive(at: now)
        service.endRestoring()
        service.commit(at: now)
        try log.publish()
        (stamp, receiving) = (nil, [])
        _ = binder.takeStamps()
        noteCommit()
    }

    private mutating func restore(socketsSurvive: Bool) throws {
        guard case .contents(let contents) = try LogReader.read(path, origin: origin) else {
            throw Problem(description: "there is no log")
        }
        try committed.check(contents, receiving)
        log = try makeLog()
        while losses.popFirst() != nil {}
        let table = try restoredTable(contents, socketsSurvive)
        service = Self.makeService(limits, log, table, losses, binder, now)
        service.restore(contents)
        // Before any of them can be told more, because another one ends.
        for session in service.restoredSessions {
            let said = committed.streams[session.id]?.said ?? []
            clients.first { $0.session.id == session.id }?.goOn(
                as: session,
                said: said,
                count: said.count - session.output.count
            )
        }
        for session in service.restoredSessions {
            guard let client = clients.first(where: { $0.session.id == session.id }) else {
                // It had come in order to go on as another one.
                service.end(session, at: now)
                continue
            }
            bringBack(session, to: client, socketsSurvive)
            if !client.isAway, !client.isLeft { try client.checkIsRestored() }
        }
        let ids = Set(service.restoredSessions.map(\.id))
        for client in clients where !ids.contains(client.session.id) { client.isLeft = true }
        for (id, bytes) in contents.received {
            guard let session = service.sessions[id] else { continue }
            bytes.withUnsafeBytes { service.receive($0, from: session, at: now) }
        }
        while !service.recordEverything(in: log).isEmpty || log.isOverfull {
            try log.beginRewriting(capacity: 2 * log.capacity)
        }
    }

    /// One of its own, or the former one, as where there is no room for two.
    private mutating func makeLog() throws -> WriteAheadLog {
        if random.chance(40), let log = try? WriteAheadLog(goingOnAt: path, origin: origin, sizes: Self.sizes) {
            goneOnCount += 1
            return log
        }
        return try WriteAheadLog(path: path, origin: origin, capacity: Self.sizes.leastCapacity, sizes: Self.sizes)
    }

    private mutating func bringBack(_ session: Session, to client: FuzzClient, _ socketsSurvive: Bool) {
        if socketsSurvive, !client.isAway {
            service.attach(session, isDamaged: false, at: now)
        } else if session.isResumable {
            service.detach(session, isDamaged: false, at: now)
            client.leave()
        } else {
            service.end(session, at: now)
            client.isLeft = true
        }
    }

    private func restoredTable(_ contents: LogContents, _ socketsSurvive: Bool) throws -> LockTable {
        var record = TableRecord()
        record.sessions = contents.sessions.map { session in
            var record = session.table
            let isAway = clients.contains { $0.session.id == record.id && $0.isAway }
            let isDetached = !record.isBound && record.endedAt == nil && (isAway || !socketsSurvive)
            record.detachedAt = isDetached ? record.detachedAt ?? now : nil
            return record
        }
        record.claims = contents.claims
        var problems: [String] = []
        let nextToken = contents.nextToken ?? FencingToken(0)
        guard nextToken == committed.nextToken else { throw Problem(description: "the next token is \(nextToken)") }
        let table = LockTable(
            limits: limits,
            firstToken: nextToken,
            reservedThrough: FencingToken(nextToken.value + 1 << 20),
            restoring: record,
            downtime: (min(contents.aliveAt ?? now, now), now),
            problems: &problems
        )
        guard problems.isEmpty else { throw Problem(description: "the table says: \(problems)") }
        return table
    }

    // MARK: Coming back

    private mutating func comeBack(_ client: FuzzClient) throws {
        let former = client.session
        guard former.state == .open else { return }
        let session = service.open(former.peer, former.process, as: service.makeSessionID(), at: now)
        try mayBeKilled()
        try commit()
        let hello = Array("#r HELLO resume=\(former.id) client=again\nPING\n".utf8)
        hello.withUnsafeBytes { service.receive($0, from: session, at: now) }
        guard let resumption = service.takeResumptions().first else {
            throw Problem(description: "\(former.id) is not resumed")
        }
        resumptionCount += 1
        let lines = former.output.withLines { Array($0) }
        service.finish(resumption, at: now)
        // A line that was held back may have been the last: QUIT.
        guard former.state == .open else { return }
        guard !former.isDetached else { throw Problem(description: "it is not resumed") }
        let output = former.output.withUnsentBytes { Array($0) }
        let end = output.firstIndex(of: UInt8(ascii: "\n")) ?? output.count
        guard output[..<end].starts(with: "#r WELCOME ".utf8), output.dropFirst(end + 1).starts(with: lines) else {
            throw Problem(description: "it is told \(text(output)) and not \(text(lines))")
        }
        client.beginStream()
        try commit()
    }

    private mutating func takeResumption() throws {
        // By chance, of a session whose number stood in a random line.
        for resumption in service.takeResumptions() {
            if random.chance(30) { try commit() }
            try mayBeKilled()
            service.greetAsNew(resumption.session, resumption, at: now)
        }
    }
}

func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self).debugDescription }
