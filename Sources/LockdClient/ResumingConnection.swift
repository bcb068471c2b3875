import CUnix
package import LockdModel
package import LockdWire

/// The session of a command-line tool that lasts: it goes on when the daemon restarts.
///
/// The caller's own thread does everything. Not thread-safe, and only for the process that made it.
package final class ResumingConnection {
    package typealias News = ResumingCore.News

    /// There was a daemon, and it was not back in time.
    package struct Absence: Error, CustomStringConvertible {
        /// What happened, and what to do about it.
        package let description: String
        /// Whether it is the time of the request itself that is up.
        package let isWaitOver: Bool
    }

    private let path: String
    private var core: ResumingCore
    private var transport: Transport?
    /// When there is the next attempt, while there is no connection.
    private var retryAt: MonotonicInstant?
    private var absentSince: MonotonicInstant?
    private var problem = LockdClientError.connectionLost("", "")
    /// What came behind an answer, and was not told yet.
    private var unheard: [News] = []
    /// That of the request, until it is answered.
    private var descriptorOfRequest: Descriptor?

    private init(path: String, client: Text?) throws(ConnectFailure) {
        self.path = path
        core = ResumingCore(client: client, seed: .random(in: .min ... .max))
        transport = try Transport(path: path, timeout: ConnectionAttempt.patience)
    }

    /// Connects to the daemon at `path`, and greets.
    ///
    /// Blocks while the daemon's backlog is full, for five seconds at most, and until the daemon answers.
    ///
    /// - Throws: ``ConnectFailure``, ``BlockingConnection/Failure`` or ``ResumingCore/Failure``.
    package static func begin(path: String, client: Text?) throws -> (ResumingConnection, Reply.Welcome) {
        let connection = try ResumingConnection(path: path, client: client)
        connection.say(connection.core.greeting)
        while true {
            for case .welcome(let welcome) in try connection.next() { return (connection, welcome) }
        }
    }

    /// The socket, for whoever waits for several things at once; -1 while there is no connection.
    package var descriptor: CInt { transport?.descriptor ?? -1 }

    /// For how many milliseconds at most whoever waits may wait before ``proceed()``, in the unit of poll(); -1 for ever.
    package var patience: CInt { unheard.isEmpty ? System.milliseconds(until: retryAt) : 0 }

    /// Asks, and waits for the answer; what comes before it goes to `onAside`.
    ///
    /// A copy of `attachment` is sent along, if there is one. With `patience`, no longer than that is waited, also for a daemon that is there; nothing can be
    /// asked after it was in vain.
    ///
    /// - Throws: ``Absence``, ``BlockingConnection/Failure`` or ``ResumingCore/Failure``.
    package func ask(
        _ request: Request,
        with attachment: CInt? = nil,
        patience: Milliseconds? = nil,
        onAside: (Reply) -> Void = { _ in }
    ) throws -> Reply {
        if let attachment {
            let copy = cunix_duplicate(attachment)
            guard copy != -1 else { throw BlockingConnection.Failure.system(System.errorNumber) }
            descriptorOfRequest = Descriptor(owning: copy)
        }
        defer { descriptorOfRequest = nil }
        let asked = Outstanding(asking: request, at: .now())
        let deadline = patience.map { asked.askedAt + $0 }
        var news = try perform(core.ask(request, with: descriptorOfRequest, at: asked.askedAt))
        while true {
            for (index, item) in news.enumerated() {
                switch item {
                case .answer(let reply):
                    unheard += news[(index + 1)...]
                    return reply
                case .aside(let reply): onAside(reply)
                case .welcome, .forgotten: break
                }
            }
            let givesUp = absentSince.flatMap { asked.givesUp(since: $0) }
            if let givesUp, givesUp <= .now() {
                let error = LockdClientError.absent(path, problem)
                throw Absence(description: error.message, isWaitOver: asked.waitTimeout != nil)
            }
            if let deadline, deadline <= .now() {
                throw Absence(description: "lockd at \(path) does not answer", isWaitOver: false)
            }
            wait(until: [retryAt, givesUp, deadline].compactMap(\.self).min())
            news = try proceed()
        }
    }

    /// Waits for something to happen; returns what, which may be nothing that is to be told.
    package func next() throws -> [News] {
        if unheard.isEmpty { wait(until: retryAt) }
        return try proceed()
    }

    private func wait(until instant: MonotonicInstant?) {
        _ = System.wait(for: descriptor, until: instant)
    }

    /// Does what can be done now, and returns what has happened.
    ///
    /// Does not block.
    package func proceed() throws -> [News] {
        if !unheard.isEmpty { return exchange(&unheard, with: []) }
        if let transport {
            switch transport.receive() {
            case .bytes(let bytes): return try perform(core.receive(bytes, at: .now()))
            case .nothing: return []
            case .end(let reason):
                self.transport = nil
                problem = .connectionLost(path, reason)
                guard let delay = core.ended() else { throw BlockingConnection.Failure.closed }
                let now = MonotonicInstant.now()
                absentSince = absentSince ?? now
                retryAt = now + delay
            }
        }
        if let retryAt, retryAt <= .now() { attempt() }
        return []
    }

    private func attempt() {
        do throws(ConnectFailure) {
            transport = try Transport(path: path, timeout: nil)
            retryAt = nil
            say(core.greeting)
        } catch {
            problem = .daemonUnavailable(error)
            retryAt = core.ended().map { .now() + $0 }
        }
    }

    private func perform(_ signals: [ResumingCore.Signal]) throws -> [News] {
        var news: [News] = []
        for signal in signals {
            switch signal {
            case .send(let bytes, let hasDescriptor): say(bytes, with: hasDescriptor ? descriptorOfRequest : nil)
            case .hear(let item): news.append(item)
            case .shutDown: transport?.shutDown()
            case .fail(let failure): throw failure
            }
        }
        if core.isConnected { absentSince = nil }
        return news
    }

    private func say(_ bytes: [UInt8], with descriptor: Descriptor? = nil) {
        let count = transport?.send(OutputQueue.Message(bytes: bytes, descriptor: descriptor))
        // One request at a time fits into any socket. If it does not, the connection is of no use, and there is another one.
        if count != bytes.count { transport?.shutDown() }
    }
}
