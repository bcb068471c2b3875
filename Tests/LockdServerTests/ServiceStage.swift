import LockdCore
import LockdModel

@testable import LockdServer

/// A ``LockService`` with a manual clock and without sockets: what it says is read at once.
final class ServiceStage: TranscriptStage {
    private final class Client {
        let session: Session
        var received: [UInt8] = []
        /// Whether it still reads.
        var isThere = true
        var hasSeenEnd = false

        init(_ session: Session) { self.session = session }
    }

    private var service: LockService
    private var dirty: [Session] = []
    private var now = MonotonicInstant(nanoseconds: 0)
    private var clients: [String: Client] = [:]

    var onlyPeer: (process: Int32, user: UInt32, command: String)? { nil }

    init(limits: Limits) {
        service = LockService(
            identity: .init(version: "0.0.0", process: ProcessID(1), startTime: 0),
            limits: limits,
            firstBlock: FencingToken(1)...FencingToken(TokenReserver.largestBlockSize),
            tokens: EndlessTokens(),
            at: now,
            flush: { _ in }
        )
    }

    func perform(_ action: Transcript.Action) throws {
        service.passTime(at: now)
        switch action {
        case .open(let name, let user, let process, let command):
            let command = try Text(bytes: command.transcriptBytes, limit: Text.shortLimit)
            let peer = Peer(process: ProcessID(process), user: UserID(user), command: command)
            clients[name] = Client(service.open(peer, at: now))
        case .send(let name, let line): receive(line + "\n", from: try client(name))
        case .sendPart(let name, let bytes): receive(bytes, from: try client(name))
        case .shutDown(let name): service.end(try client(name).session, at: now)
        case .close(let name), .exit(let name):
            let client = try client(name)
            client.isThere = false
            service.end(client.session, at: now)
        case .advance(let length, let isNoticed):
            now = now + length
            if !isNoticed { return }
        }
        settle()
    }

    func next(for name: String, mayWait: Bool) throws -> Received? {
        let client = try client(name)
        guard client.isThere else { return nil }
        if let end = client.received.firstIndex(of: UInt8(ascii: "\n")) {
            defer { client.received.removeSubrange(...end) }
            return .line(String(decoding: client.received[..<end], as: UTF8.self))
        }
        if client.session.state == .ended && !client.hasSeenEnd {
            client.hasSeenEnd = true
            return .end
        }
        return nil
    }

    func client(ofSession number: String) -> String? {
        clients.first { $0.value.session.id.description == number }?.key
    }

    private func client(_ name: String) throws -> Client {
        guard let client = clients[name] else { throw Transcript.Problem(description: "there is no client \(name)") }
        return client
    }

    private func receive(_ text: String, from client: Client) {
        text.transcriptBytes.withUnsafeBytes { service.receive($0, from: client.session, at: now) }
    }

    /// Takes turns until there is nothing to do.
    private func settle() {
        repeat {
            service.resume(at: now)
            service.passTime(at: now)
            service.takeDirtySessions(into: &dirty)
            for client in clients.values where !client.session.output.isEmpty {
                client.session.output.drain { bytes in
                    client.received += bytes
                    return bytes.count
                }
                service.outputWasWritten(of: client.session)
            }
            for client in clients.values where client.session.state == .ended { service.close(client.session) }
            _ = service.settleUsers(at: now)
            service.table.checkInvariants()
        } while service.hasRunnableSessions || service.nextDeadline.map { $0 <= now } ?? false
    }
}

/// Tokens that never run out.
final class EndlessTokens: TokenSupply {
    private var last = FencingToken(TokenReserver.largestBlockSize)

    func beginReservation() {}

    func takeReservation() -> FencingToken? { waitForReservation() }

    func waitForReservation() -> FencingToken {
        last = FencingToken(last.value + TokenReserver.largestBlockSize)
        return last
    }
}
