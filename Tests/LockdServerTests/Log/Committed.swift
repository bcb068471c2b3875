import LockdCore
import LockdModel
import LockdWire

@testable import LockdServer

/// What there was at a commit, for comparison with what a reader finds in the log.
struct Committed {
    /// What a session was told since a line began.
    struct Stream {
        var said: [UInt8] = []
        /// So many bytes of it were written, when the daemon was killed, and were recorded as written.
        var writtenCount = 0
        var notedCount = 0
        var hasEnded = false
    }

    private var claims: [ClaimRecord] = []
    private var sessions: [LogRecord.Session] = []
    private var bounds: Set<LogRecord.Bound> = []
    private var inputs: [SessionID: LogContents.Input] = [:]
    private(set) var streams: [SessionID: Stream] = [:]
    private(set) var nextToken = FencingToken(0)

    init() {}

    init(of service: inout LockService, _ clients: [FuzzClient]) {
        let counts = service.table.recordSlotCounts
        claims = (0..<counts.claims).compactMap { service.table.claimRecord(in: $0) }.sorted { $0.arrival < $1.arrival }
        for var record in (0..<counts.sessions).compactMap({ service.table.sessionRecord(in: $0) }) {
            // Once it has ended, it no longer matters whether it was detached.
            if record.hasEnded { record.detachedAt = nil }
            let session = service.sessions[record.id]
            sessions.append(
                LogRecord.Session(
                    table: record,
                    process: session?.process ?? .unknown,
                    client: session?.client,
                    hasSpoken: session.map { $0.hasSpoken && $0.pendingHello == nil } ?? false,
                    isResumable: session?.isResumable ?? false,
                    watch: session.flatMap { $0.watch.map { $0.prefix } },
                    missedCount: session?.watch?.missedCount ?? 0
                )
            )
        }
        sessions.sort { $0.table.id < $1.table.id }
        bounds = Set(service.bound.map { LogRecord.Bound(session: $0.key, lease: $0.value) })
        nextToken = service.table.nextToken
        for session in service.sessions.values {
            let input = LogContents.Input(
                bytes: (session.pendingHello ?? []) + session.input.withBufferedBytes { Array($0) },
                isDiscarding: session.input.isDiscarding
            )
            if input != LogContents.Input() { inputs[session.id] = input }
        }
        for client in clients {
            streams[client.session.id] = Stream(
                said: client.written + client.session.output.withUnsentBytes { Array($0) },
                hasEnded: client.session.state == .ended
            )
        }
    }

    /// The daemon has been killed: takes note of what was written to those that are there.
    mutating func freeze(_ clients: [FuzzClient]) {
        let former = streams
        streams = [:]
        for client in clients {
            guard var stream = former[client.session.id] else { continue }
            (stream.writtenCount, stream.notedCount) = (client.written.count, client.notedCount)
            streams[client.session.id] = stream
        }
    }

    /// Says what is wrong with what was found.
    func check(_ found: LogContents, _ receiving: [(session: SessionID, bytes: [UInt8])]) throws {
        func require(_ isRight: Bool, _ problem: @autoclosure () -> String) throws {
            if !isRight { throw RestartFuzz.Problem(description: problem()) }
        }
        try require(found.damage == nil, "the log is damaged: \(found.damage ?? "")")
        try require(!found.isForeign, "it is of another namespace")
        let foundClaims = found.claims.sorted { $0.arrival < $1.arrival }
        try require(foundClaims == claims, "claims are \(foundClaims) and not \(claims)")
        let foundSessions = found.sessions.sorted { $0.table.id < $1.table.id }
        try require(foundSessions == sessions, "sessions are \(foundSessions) and not \(sessions)")
        try require(Set(found.bounds) == bounds, "bounds are \(found.bounds) and not \(bounds)")
        let live = Set(sessions.filter { $0.table.endedAt == nil }.map(\.table.id))
        let foundInputs = found.inputs.filter { live.contains($0.key) }
        try require(foundInputs == inputs, "inputs are \(foundInputs) and not \(inputs)")
        try require(found.torn.isEmpty, "torn are \(found.torn)")
        try require(
            found.received.elementsEqual(receiving) { $0.session == $1.session && $0.bytes == $1.bytes },
            "received is \(found.received) and not \(receiving)"
        )
        for (id, stream) in streams { try check(id, stream, found) }
    }

    private func check(_ id: SessionID, _ stream: Stream, _ found: LogContents) throws {
        let output = found.outputs[id] ?? LogContents.Output()
        let rest = stream.hasEnded ? found.farewells[id] ?? [] : Array(output.lines.dropFirst(output.skipping))
        // Nothing is missing of what was not written, and nothing is repeated of which it was recorded that it was.
        let counts = stream.said.count - stream.writtenCount...stream.said.count - stream.notedCount
        guard stream.said.suffix(rest.count) == rest[...], counts.contains(rest.count) else {
            throw RestartFuzz.Problem(
                description: """
                    session \(id)\(stream.hasEnded ? ", which has ended," : "") was told \(text(stream.said)), of which \(stream.writtenCount) bytes \
                    were written, and \(stream.notedCount) recorded as written; it is told now: \(text(rest))
                    """
            )
        }
    }
}
