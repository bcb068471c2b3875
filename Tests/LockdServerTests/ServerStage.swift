import Glibc
import LockdModel

@testable import LockdServer

/// A whole ``Server`` with a manual clock and real sockets.
///
/// All clients are in this process.
struct ServerStage: TranscriptStage {
    private let server: RunningServer
    private var clients: [String: TestClient] = [:]

    let onlyPeer: (process: Int32, user: UInt32, command: String)?

    init(limits: Limits) throws {
        server = try RunningServer(limits: limits)
        let command = ProcessStatus.command(of: getpid())?.spelling ?? ""
        onlyPeer = (process: getpid(), user: geteuid(), command: command)
    }

    mutating func perform(_ action: Transcript.Action) throws {
        switch action {
        case .open(let name, _, _, _): clients[name] = try TestClient(connectingTo: server.socketPath)
        case .send(let name, let line): try client(name).send(line + "\n")
        case .sendPart(let name, let bytes): try client(name).send(bytes)
        case .shutDown(let name): try client(name).shutDown()
        case .close(let name), .exit(let name): try client(name).close()
        case .advance(let length, let isNoticed):
            server.advance(length)
            if !isNoticed { return }
        }
        server.settle()
    }

    func next(for name: String, mayWait: Bool) throws -> Received? {
        try client(name).next()
    }

    func client(ofSession number: String) -> String? { nil }

    func stop() { server.stop() }

    private func client(_ name: String) throws -> TestClient {
        guard let client = clients[name] else { throw Transcript.Problem(description: "there is no client \(name)") }
        return client
    }
}
