/// Connections that acquire locks of their own and release them, over and over: nobody waits for anybody else.
///
/// A connection sends a batch when the one before is answered. So the load follows the server: latencies are those of a server that is
/// busy and not overrun.
struct ClosedLoop {
    private var clients: [Client]
    private var measurement: Measurement

    /// Connects.
    init(socket: String, dialect: Dialect, connections: Int, depth: Int, tagged: Bool, measurement: Measurement) throws
    {
        clients = try (0..<connections).map { index in
            Client(
                connection: try Connection(to: socket),
                acquiring: .acquiring(dialect, connection: index, depth: depth, tagged: tagged),
                releasing: .releasing(dialect, connection: index, depth: depth, tagged: tagged)
            )
        }
        self.measurement = measurement
    }

    /// Runs to the end of the measurement and on until every lock has been released.
    mutating func run() throws -> Measurement {
        var poller = try Poller()
        for index in clients.indices {
            try poller.add(clients[index].descriptor, as: index)
            try clients[index].sendNext()
        }
        var runningCount = clients.count
        while runningCount > 0 {
            try poller.forEachReady { index in
                try clients[index].receive(into: &measurement)
                guard clients[index].isAnswered else { return }
                if measurement.isOver && clients[index].isReleasing {
                    runningCount -= 1
                } else {
                    try clients[index].sendNext()
                }
            }
        }
        return measurement
    }
}

/// One connection with its two batches.
private struct Client {
    private var connection: Connection
    private let acquiring: Batch
    private let releasing: Batch
    private var tokens: [Token]
    private(set) var isReleasing = true
    /// How many replies of the current batch have come.
    private var answeredCount = 0

    init(connection: Connection, acquiring: Batch, releasing: Batch) {
        self.connection = connection
        self.acquiring = acquiring
        self.releasing = releasing
        tokens = Array(repeating: .zero, count: acquiring.count)
    }

    var descriptor: Int32 { connection.descriptor }

    private var batch: Batch { isReleasing ? releasing : acquiring }

    /// Whether every reply of the current batch has come.
    var isAnswered: Bool { answeredCount == batch.count }

    /// Sends the batch that follows the current one.
    mutating func sendNext() throws {
        isReleasing.toggle()
        answeredCount = 0
        try connection.send(batch.requests)
    }

    /// Reads once and checks and counts the replies that have come.
    mutating func receive(into measurement: inout Measurement) throws {
        try connection.receive()
        let now = Clock.now()
        let answeredBefore = answeredCount
        let batch = batch
        while let line = connection.nextLine() {
            guard answeredCount < batch.count else {
                measurement.recordWrong(line, expected: "nothing more")
                continue
            }
            if !batch.accepts(line, at: answeredCount, tokens: &tokens) {
                measurement.recordWrong(line, expected: batch.expectedReply(at: answeredCount))
            }
            answeredCount += 1
        }
        measurement.record(answeredCount - answeredBefore, latency: now - connection.sentAt, now: now)
    }
}
