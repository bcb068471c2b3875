import LockdCore
import LockdModel
import LockdWire

@testable import LockdServer

/// Plays the input as what a few clients do to a daemon, without the descriptors.
///
/// After every step all invariants of the lock table hold, every line that a client gets can be read, and no two clients hold one name.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzService(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    var play = Play()
    var input = UnsafeRawBufferPointer(start: start, count: count)[...]
    while let step = input.popFirst() { play.perform(step, &input) }
    play.finish()
    return 0
}

/// A daemon and four clients.
private struct Play {
    private static let clientCount = 4

    private var service: LockService
    private var now = MonotonicInstant(nanoseconds: 0)
    private var sessions: [Session?] = Array(repeating: nil, count: clientCount)
    private var framers: [SessionID: LineFramer] = [:]
    private var ledger = Ledger()

    init() {
        var limits = Limits()
        limits.leases = 6
        limits.leasesPerSession = 4
        limits.waiters = 8
        limits.waitersPerSession = 5
        limits.endingsPerTurn = 5
        limits.locksPerPage = 2
        service = LockService(
            identity: LockService.Identity(version: "0", process: ProcessID(1), startTime: 0),
            limits: limits,
            firstBlock: FencingToken(1)...FencingToken(1 << 40),
            tokens: NoMoreTokens(),
            at: now,
            flush: { _ in }
        )
    }

    /// Performs one step: its lowest bits say who, the others what.
    mutating func perform(_ step: UInt8, _ input: inout Slice<UnsafeRawBufferPointer>) {
        let client = Int(step) % Self.clientCount
        switch (step >> 2) % 8 {
        case 0, 1, 2, 3:
            let text = input.prefix { $0 != UInt8(ascii: "\n") }
            input = input.dropFirst(text.count + 1)
            send(Array(text) + [UInt8(ascii: "\n")], from: client)
        case 4: send([UInt8(ascii: "A"), UInt8(ascii: "C")], from: client)
        case 5: now = now + Milliseconds(Int64(input.popFirst() ?? 0) * 100)
        case 6: if let session = sessions[client] { service.endInput(of: session, at: now) }
        default: end(client)
        }
        settle()
    }

    /// Ends every session; nothing must be left.
    mutating func finish() {
        for client in 0..<Self.clientCount { end(client) }
        repeat { settle() } while service.nextDeadline.map { $0 <= now } ?? false
        precondition(service.table.lockCount == 0, "\(service.table.lockCount) locks are left without any session")
    }

    private mutating func send(_ bytes: [UInt8], from client: Int) {
        let session = sessions[client] ?? open(client)
        bytes.withUnsafeBytes { service.receive($0, from: session, at: now) }
    }

    private mutating func open(_ client: Int) -> Session {
        let peer = Peer(process: ProcessID(Int32(100 + client)), user: UserID(UInt32(client % 3)), command: nil)
        let session = service.open(peer, at: now)
        sessions[client] = session
        framers[session.id] = LineFramer(limit: 1 << 20)
        return session
    }

    private mutating func end(_ client: Int) {
        guard let session = sessions[client] else { return }
        service.end(session, at: now)
        forget(client)
    }

    private mutating func forget(_ client: Int) {
        guard let session = sessions[client] else { return }
        sessions[client] = nil
        ledger.end(session.id)
    }

    /// Does what the event loop does in a turn, until there is nothing more to read for anybody.
    private mutating func settle() {
        service.passTime(at: now)
        repeat {
            service.resume(at: now)
            var dirty: [Session] = []
            service.takeDirtySessions(into: &dirty)
            for session in dirty { read(session) }
        } while service.hasRunnableSessions
        service.table.checkInvariants()
        for client in 0..<Self.clientCount where sessions[client]?.state == .ended { forget(client) }
        ledger.check()
    }

    private mutating func read(_ session: Session) {
        session.output.drain { bytes in
            framers[session.id]?.append(bytes)
            return bytes.count
        }
        service.outputWasWritten(of: session)
        while let line = framers[session.id]?.nextLine({ line -> [UInt8] in
            switch line {
            case .complete(let bytes): Array(bytes)
            case .tooLong(let head): preconditionFailure("a reply of more than \(head.count) bytes")
            }
        }) {
            do {
                let reply = try line.withUnsafeBytes { try ReplyDecoder.decode($0) }
                if let reply { ledger.note(reply.reply, to: session.id) }
            } catch {
                preconditionFailure("a client cannot read its reply: \(error)")
            }
        }
    }
}

/// What the clients believe, from what they were told.
private struct Ledger {
    private var leases: [FencingToken: (names: LockNames, session: SessionID)] = [:]
    private var granted: Set<FencingToken> = []
    private var ended: Set<SessionID> = []

    mutating func note(_ reply: Reply, to session: SessionID) {
        if ended.contains(session) { return }
        if case .granted(let names, let token, _, _) = reply {
            precondition(granted.insert(token).inserted, "token \(token) was granted twice")
            leases[token] = (names, session)
        } else if case .released(_, let token) = reply {
            leases[token] = nil
        } else if case .lost(_, let token, _) = reply {
            leases[token] = nil
        }
    }

    mutating func end(_ session: SessionID) {
        ended.insert(session)
        leases = leases.filter { $0.value.session != session }
    }

    func check() {
        let names = leases.values.flatMap(\.names)
        precondition(Set(names).count == names.count, "a name is held twice: \(leases)")
    }
}

/// The tokens of the first block are enough.
private final class NoMoreTokens: TokenSupply {
    func beginReservation() {}
    func takeReservation() -> FencingToken? { nil }
    func waitForReservation() -> FencingToken { preconditionFailure("a trillion tokens are used up") }
}
