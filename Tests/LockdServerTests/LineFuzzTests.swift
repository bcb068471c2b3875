import Foundation
import LockdCore
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

/// Random lines, right and wrong, in random pieces, from sessions that come and go, while time passes in leaps.
///
/// `SEED=…` repeats one of the runs.
@Suite struct LineFuzzTests {
    private static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["SEED"].flatMap { UInt64($0) }.map { [$0] } ?? [1, 2, 3, 4]

    @Test(arguments: seeds)
    func everyLineIsAnsweredOnceAndTheTableStaysWhole(seed: UInt64) {
        var fuzz = LineFuzz(seed: seed)
        for step in 0..<2500 {
            if let problem = fuzz.step() {
                Issue.record("SEED=\(seed), step \(step): \(problem)")
                return
            }
        }
    }
}

/// One run.
private struct LineFuzz {
    /// A client, and what it has sent and got so far.
    private final class Client {
        let session: Session
        var lineFeeds = 0
        var answers = 0
        var hasQuit = false
        var hasSentTooMuch = false

        init(_ session: Session) { self.session = session }
    }

    private let fixture: ServiceFixture
    private var lines: RandomLines
    private var clients: [Client] = []

    init(seed: UInt64) {
        var limits = Limits()
        limits.leasesPerSession = 6
        limits.leases = 12
        limits.waitersPerSession = 4
        limits.waiters = 9
        limits.endingsPerTurn = 4
        limits.locksPerPage = 3
        fixture = ServiceFixture(limits: limits)
        lines = RandomLines(seed: seed)
    }

    /// Takes a step; says what is wrong after it.
    mutating func step() -> String? {
        switch lines.number(below: 100) {
        case 0..<3 where clients.count < 8: clients.append(Client(fixture.open(user: UInt32(lines.number(below: 3)))))
        case 3..<6:
            if let client = anyClient() { end(client) }
        case 6..<20: fixture.advance(Milliseconds(Int64(lines.number(below: 1500))))
        case 20..<30: fixture.now = fixture.now + Milliseconds(Int64(lines.number(below: 1500)))
        default:
            if let client = anyClient() { send(lines.bytes(), from: client) }
        }
        if lines.number(below: 2) == 0 { fixture.resume() }
        fixture.service.table.checkInvariants()
        for client in clients {
            if let problem = read(client) { return problem }
        }
        let ended = clients.filter { $0.session.state == .ended }
        clients.removeAll { $0.session.state == .ended }
        return ended.lazy.compactMap(check).first
    }

    private mutating func anyClient() -> Client? {
        clients.isEmpty ? nil : clients[lines.number(below: clients.count)]
    }

    private func end(_ client: Client) {
        if client.session.output.isEmpty { fixture.endInput(of: client.session) }
        fixture.end(client.session)
    }

    private func send(_ bytes: [UInt8], from client: Client) {
        client.lineFeeds += bytes.count { $0 == UInt8(ascii: "\n") }
        bytes.withUnsafeBytes { fixture.receive($0, from: client.session) }
    }

    /// Reads all that a client has got, and says what is wrong with it.
    private func read(_ client: Client) -> String? {
        for line in fixture.lines(client.session) {
            let reply: TaggedReply?
            do {
                reply = try Array(line.utf8).withUnsafeBytes { try ReplyDecoder.decode($0) }
            } catch {
                return "\(line) is no reply: \(error)"
            }
            switch reply?.reply {
            case nil: return "\(line) is an event that nobody knows"
            case .lost, .lease, .waiter, .hold, .statistic, .histogram, .queued, .edge, .watched: break
            case .bye:
                client.hasQuit = true
                client.answers += 1
            case .error(let error):
                if error.code == .lineTooLong { client.hasSentTooMuch = true }
                client.answers += 1
            default: client.answers += 1
            }
        }
        return nil
    }

    private func check(_ client: Client) -> String? {
        if client.hasSentTooMuch { return nil }
        // What stands behind a QUIT is not read.
        let isRight = client.hasQuit ? client.answers <= client.lineFeeds : client.answers == client.lineFeeds
        return isRight
            ? nil : "session \(client.session.id) sent \(client.lineFeeds) lines and got \(client.answers) answers"
    }
}

/// A source of lines, right and wrong.
struct RandomLines {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func number(below bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((bits ^ (bits >> 31)) % UInt64(bound))
    }

    /// One or a few lines, mutated or not, with or without the last LF.
    mutating func bytes() -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0...number(below: 3) { bytes += Array(line().utf8) + [UInt8(ascii: "\n")] }
        if number(below: 4) == 0 {
            for _ in 0...number(below: 4) { mutate(&bytes) }
        }
        if number(below: 10) == 0 { bytes.removeLast(min(bytes.count, number(below: 10))) }
        if number(below: 500) == 0 { bytes += Array(repeating: UInt8(ascii: "x"), count: number(below: 20_000)) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let place = number(below: bytes.count)
        switch number(below: 4) {
        case 0: bytes[place] = UInt8(number(below: 256))
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(UInt8(number(below: 256)), at: place)
        default: bytes.insert(contentsOf: bytes[place...].prefix(number(below: 10)), at: place)
        }
    }

    private mutating func pick(_ choices: [String]) -> String { choices[number(below: choices.count)] }

    private mutating func line() -> String {
        let tag = pick(["", "", "#1 ", "#2 ", "#a.b ", "#\(number(below: 100)) "])
        let name = pick(["a", "b", "c", "a/%C3%A9", "%00", "d\(number(below: 20))"])
        switch number(below: 20) {
        case 0..<8: return "\(tag)ACQUIRE \(name)\(acquireOptions())"
        case 8..<12: return "\(tag)RELEASE \(name)\(token())"
        case 12: return "\(tag)RENEW \(name)\(token())\(timeToLive())"
        case 13, 14: return "\(tag)CANCEL \(pick(["#1", "#2", "#a.b"]))"
        case 15: return "\(tag)SHOW \(name)\(page())"
        case 16: return "\(tag)LIST\(pick(["", " a", " d"]))\(page())"
        case 17: return "\(tag)REVOKE \(name)\(token())\(pick(["", " reason=x"]))"
        case 18:
            let others = ["WATCH", "WATCH d", "UNWATCH", "HISTORY a", "HISTOGRAMS", "HISTOGRAMS limit=1"]
            return tag + pick(["PING", "STATS", "HELLO", "HELLO v=1 client=c", "NONSENSE", ""] + others)
        default: return number(below: 30) == 0 ? "\(tag)QUIT" : "PING"
        }
    }

    private mutating func acquireOptions() -> String {
        pick(["", "", " b", " c d1 d2", " b b"]) + wait() + timeToLive()
            + pick(["", "", " owner=o", " owner=p", " note=n%20"])
            + pick(["", "", " mode=shared", " limit=2", " max-queue=2"])
            + pick(["", "", " progress=100ms", " bind=pipe"])
    }

    private mutating func wait() -> String {
        pick(["", " wait=0", " wait=forever", " wait=\(number(below: 3000))ms", " wait=1s"])
    }

    private mutating func timeToLive() -> String { pick(["", "", " ttl=\(number(below: 2000))ms", " ttl=2s"]) }

    private mutating func token() -> String { pick(["", "", "", " token=\(number(below: 300))"]) }

    private mutating func page() -> String {
        pick(["", " limit=\(number(below: 4))", " after=\(number(below: 9)).\(number(below: 300))"])
    }
}
