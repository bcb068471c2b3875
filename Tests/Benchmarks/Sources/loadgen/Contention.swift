import Glibc

/// Connections that all want the same lock: one holds it, the others wait.
///
/// Who is granted the lock releases it at once and queues again, in one write. An operation is one hand-over; its latency is the time from
/// the write of that RELEASE to the moment at which the next holder has read its GRANTED.
struct Contention {
    private struct Client {
        var connection: Connection
        /// The place of its ACQUIRE among those that were sent behind a RELEASE.
        ///
        /// 0 for the first ACQUIRE of each, which is in no order with the others.
        var place = 0
        /// The token of the lease that it released, until RELEASED has come.
        var releasedToken: Token?
    }

    private var clients: [Client]
    private var measurement: Measurement
    private let acquire: [UInt8]
    private let releaseAndAcquire: [UInt8]
    private let granted: [UInt8]
    private let released: [UInt8]

    /// When the lock was last released.
    private var releasedAt: UInt64?
    private var lastToken = Token.zero
    private var lastPlace = 0
    private var nextPlace = 1

    /// Connects.
    init(socket: String, connections: Int, tagged: Bool, measurement: Measurement) throws {
        clients = try (0..<connections).map { _ in Client(connection: try Connection(to: socket)) }
        self.measurement = measurement
        let acquireTag = tagged ? "#a " : ""
        let releaseTag = tagged ? "#r " : ""
        acquire = Array("\(acquireTag)ACQUIRE contended\n".utf8)
        releaseAndAcquire = Array("\(releaseTag)RELEASE contended\n".utf8) + acquire
        granted = Array("\(acquireTag)GRANTED contended token=".utf8)
        released = Array("\(releaseTag)RELEASED contended token=".utf8)
    }

    /// Runs to the end of the measurement.
    ///
    /// A wrong reply is thrown: the lock is then with nobody who could hand it on.
    mutating func run() throws -> Measurement {
        var poller = try Poller()
        for index in clients.indices {
            try poller.add(clients[index].connection.descriptor, as: index)
            try clients[index].connection.send(acquire)
        }
        while !measurement.isOver {
            try poller.forEachReady { try receive(from: $0) }
        }
        return measurement
    }

    private mutating func receive(from index: Int) throws {
        try clients[index].connection.receive()
        let now = Clock.now()
        while let line = clients[index].connection.nextLine() {
            if let releasedToken = clients[index].releasedToken {
                clients[index].releasedToken = nil
                guard token(in: line, after: released) == releasedToken else {
                    throw wrong(line, expected: released, "\(releasedToken.number)")
                }
            } else {
                guard let token = token(in: line, after: granted), token > lastToken else {
                    throw wrong(line, expected: granted, "N, with N larger than \(lastToken.number)")
                }
                lastToken = token
                try handOver(from: index, now: now)
            }
        }
    }

    private mutating func handOver(from index: Int, now: UInt64) throws {
        let place = clients[index].place
        guard place == 0 || place > lastPlace else {
            throw LoadError("wrong order: request \(place) was granted after request \(lastPlace)")
        }
        lastPlace = place
        if let releasedAt {
            measurement.record(1, latency: now - releasedAt, now: now)
        }
        clients[index].releasedToken = lastToken
        clients[index].place = nextPlace
        nextPlace += 1
        try clients[index].connection.send(releaseAndAcquire)
        releasedAt = clients[index].connection.sentAt
    }

    private func token(in line: UnsafeRawBufferPointer, after beginning: [UInt8]) -> Token? {
        guard line.starts(with: beginning) else { return nil }
        return Token(UnsafeRawBufferPointer(rebasing: line[beginning.count...]))
    }

    private func wrong(_ line: UnsafeRawBufferPointer, expected: [UInt8], _ end: String) -> LoadError {
        LoadError.wrongReply(line, expected: String(decoding: expected, as: UTF8.self) + end)
    }
}
