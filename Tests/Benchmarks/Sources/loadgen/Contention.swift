import Glibc

/// Connections that all want the same lock: one holds it, the others wait.
///
/// Who is granted the lock releases it at once and queues again, in one write. So the lock goes round from one to the next, and any other
/// order is wrong. An operation is one hand-over; its latency is the time from the write of RELEASE to the moment at which the next holder
/// has read its GRANTED.
struct Contention {
    private struct Client {
        var connection: Connection
        /// Whether its first ACQUIRE is known to be in the queue.
        var isQueued = false
        /// The token of the lease that it released, until RELEASED has come.
        var releasedToken: Token?
    }

    /// Another one for each process: of its own the first grant would say that the process before has ended while it held the lock.
    private static let name = "contended/\(getpid())"
    private static let queueUp = Array("#a ACQUIRE \(name)\n#p PING\n".utf8)
    private static let pong = Array("#p PONG".utf8)
    private static let handOver = Array("#r RELEASE \(name)\n#a ACQUIRE \(name)\n".utf8)
    private static let granted = Array("#a GRANTED \(name) token=".utf8)
    private static let released = Array("#r RELEASED \(name) token=".utf8)

    private var clients: [Client]
    private var measurement: Measurement
    private var nextHolder = 0
    private var lastToken = Token.zero
    /// When the lock was last released; `nil` while the queue still forms.
    private var releasedAt: UInt64?

    /// Connects.
    init(socket: String, connections: Int, measurement: Measurement) throws {
        clients = try (0..<connections).map { _ in Client(connection: try Connection(to: socket)) }
        self.measurement = measurement
    }

    /// Runs to the end of the measurement.
    ///
    /// A wrong reply is thrown, because nobody may have the lock then who could hand it over.
    mutating func run() throws -> Measurement {
        var poller = try Poller()
        for index in clients.indices {
            try poller.add(clients[index].connection.descriptor, as: index)
            try clients[index].connection.send(Self.queueUp)
            while !clients[index].isQueued {
                try poller.forEachReady { try receive(from: $0) }
            }
        }
        try handOver(from: 0)
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
                guard token(in: line, after: Self.released) == releasedToken else {
                    throw wrong(line, expected: Self.released, "\(releasedToken.number)")
                }
            } else if line.elementsEqual(Self.pong) {
                clients[index].isQueued = true
            } else {
                try receiveGrant(line, to: index, now: now)
            }
        }
    }

    private mutating func receiveGrant(_ line: UnsafeRawBufferPointer, to index: Int, now: UInt64) throws {
        guard let token = token(in: line, after: Self.granted), token > lastToken else {
            throw wrong(line, expected: Self.granted, "N, with N larger than \(lastToken.number)")
        }
        guard index == nextHolder else {
            throw LoadError("wrong order: connection \(index) was granted the lock before connection \(nextHolder)")
        }
        lastToken = token
        nextHolder = (index + 1) % clients.count
        if let releasedAt {
            measurement.record(1, latency: now - releasedAt, now: now)
            try handOver(from: index)
        }
    }

    private mutating func handOver(from index: Int) throws {
        clients[index].releasedToken = lastToken
        try clients[index].connection.send(Self.handOver)
        releasedAt = clients[index].connection.sentAt
    }

    private func token(in line: UnsafeRawBufferPointer, after beginning: [UInt8]) -> Token? {
        guard line.starts(with: beginning) else { return nil }
        return Token(UnsafeRawBufferPointer(rebasing: line[beginning.count...]))
    }

    private func wrong(_ line: UnsafeRawBufferPointer, expected: [UInt8], _ end: String) -> LoadError {
        .wrongReply(line, expected: String(decoding: expected, as: UTF8.self) + end)
    }
}
