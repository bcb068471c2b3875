import LockdCore
import LockdModel

@testable import LockdServer

/// A ``LockService`` with a manual clock, of which every step is taken by hand: unlike ``ServiceStage``, nothing is read or resumed by itself.
final class ServiceFixture {
    /// What was waiting for each session when one was to be told of a loss.
    struct Flush: Equatable {
        let loser: SessionID
        let outputs: [SessionID: String]
    }

    private(set) var service: LockService
    private(set) var flushes: [Flush] = []
    private(set) var revocations: [Revocation] = []
    let tokens: BoundedTokens
    var now = MonotonicInstant(nanoseconds: 0)
    private var sessions: [Session] = []

    init(limits: Limits = Limits(), tokenCount: UInt64 = TokenReserver.largestBlockSize) {
        final class Back {
            weak var fixture: ServiceFixture?
        }
        let back = Back()
        tokens = BoundedTokens(reserved: tokenCount)
        service = LockService(
            identity: .init(version: "0.0.0", process: ProcessID(1), startTime: 0),
            limits: limits,
            firstBlock: FencingToken(1)...FencingToken(tokenCount),
            tokens: tokens,
            at: now,
            flush: { back.fixture?.record($0) },
            record: { back.fixture?.revocations.append($0) }
        )
        back.fixture = self
    }

    func open(user: UInt32 = 1000) -> Session {
        let peer = Peer(process: ProcessID(Int32(100 + sessions.count)), user: UserID(user), command: nil)
        let session = service.open(peer, at: now)
        sessions.append(session)
        return session
    }

    /// Has the session send lines, each with its LF.
    func send(_ lines: String..., from session: Session) {
        sendBytes(lines.map { $0 + "\n" }.joined(), from: session)
    }

    func sendBytes(_ bytes: String, from session: Session) {
        Array(bytes.utf8).withUnsafeBytes { receive($0, from: session) }
    }

    func receive(_ bytes: UnsafeRawBufferPointer, from session: Session) {
        service.receive(bytes, from: session, at: now)
    }

    /// A turn of the server, in which these sessions read what they are told; returns what they read.
    @discardableResult
    func takeTurn(reading readers: [Session] = []) -> String {
        resume()
        _ = takeDirtySessions()
        let text = readers.map { read($0) }.joined()
        for session in sessions { service.outputWasWritten(of: session) }
        _ = settleUsers()
        return text
    }

    /// Has the session take and give back a lease so many times.
    func grantAndRelease(_ count: Int, to session: Session) {
        for _ in 0..<count {
            send("ACQUIRE passing", "RELEASE passing", from: session)
            _ = read(session)
        }
    }

    func endInput(of session: Session) { service.endInput(of: session, at: now) }
    func end(_ session: Session) { service.end(session, at: now) }
    func resume() { service.resume(at: now) }
    func takeDirtySessions() -> [SessionID] {
        var batch: [Session] = []
        service.takeDirtySessions(into: &batch)
        return batch.map(\.id)
    }
    /// Ends the turn: says of which users all is kept from now on that may be.
    func settleUsers() -> [UserID] { service.settleUsers(at: now) }
    func close(_ session: Session) {
        service.close(session)
        sessions.removeAll { $0 === session }
    }
    func bytesLeft(for user: UInt32) -> Int { service.table.bytesLeft(for: UserID(user)) }
    var userCount: Int { service.table.userCount }
    func checkInvariants() { service.table.checkInvariants() }
    func change(_ limits: Limits) { service.change(limits) }
    func countRefusedSession() { service.countRefusedSession() }

    func advance(_ length: Milliseconds) {
        now = now + length
        service.passTime(at: now)
    }

    /// Reads at most so many bytes of what waits for the session.
    func read(_ session: Session, atMost limit: Int = .max) -> String {
        var text = ""
        while text.utf8.count < limit, !session.output.isEmpty {
            session.output.drain { bytes in
                let count = min(bytes.count, limit - text.utf8.count)
                text += String(decoding: bytes[..<count], as: UTF8.self)
                return count
            }
        }
        service.outputWasWritten(of: session)
        return text
    }

    /// Reads all lines that wait for the session.
    func lines(_ session: Session) -> [String] {
        read(session).split(separator: "\n").map(String.init)
    }

    private func record(_ loser: Session) {
        let outputs = sessions.map { session in
            (session.id, String(decoding: session.output.bytes, as: UTF8.self))
        }
        flushes.append(Flush(loser: loser.id, outputs: Dictionary(uniqueKeysWithValues: outputs)))
    }
}

/// Tokens that are reserved when the test says so.
final class BoundedTokens: TokenSupply {
    private(set) var reserved: UInt64
    private(set) var hasBegun = false
    private(set) var waitCount = 0
    var isFinished = false

    init(reserved: UInt64) { self.reserved = reserved }

    func beginReservation() { hasBegun = true }

    func takeReservation() -> FencingToken? { isFinished && hasBegun ? reserve() : nil }

    func waitForReservation() -> FencingToken {
        waitCount += 1
        return reserve()
    }

    private func reserve() -> FencingToken {
        hasBegun = false
        reserved += TokenReserver.largestBlockSize
        return FencingToken(reserved)
    }
}
