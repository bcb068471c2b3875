import LockdModel
import LockdWire

/// Values from a seed: the same ones every time.
struct RandomValues {
    /// SplitMix64.
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    var generator: Generator

    init(seed: UInt64) { generator = Generator(state: seed) }

    mutating func taggedRequest() -> TaggedRequest {
        TaggedRequest(tag: maybe { $0.tag() }, request())
    }

    mutating func taggedReply() -> TaggedReply {
        let reply = reply()
        return switch reply {
        case .lost, .lostEverything, .restored, .watched: TaggedReply(reply)
        default: TaggedReply(tag: maybe { $0.tag() }, reply)
        }
    }

    private mutating func request() -> Request {
        switch Int.random(in: 0..<15, using: &generator) {
        case 0: .hello(.init(client: maybe { $0.text(64) }, resume: maybe { SessionID($0.number()) }))
        case 1, 2:
            .acquire(
                .init(
                    names: names(),
                    wait: wait(),
                    queueLimit: maybe { Int.random(in: 0...100_000, using: &$0.generator) },
                    holderLimit: holderLimit(),
                    timeToLive: maybe { $0.given() },
                    owner: maybe { $0.text(64) },
                    note: maybe { $0.text(256) },
                    progress: maybe { $0.progress() },
                    binding: maybe { $0.binding() }
                )
            )
        case 3: .release(name(), token: maybe { $0.token() })
        case 4: .renew(name(), token: maybe { $0.token() }, timeToLive: maybe { $0.given() })
        case 5: .cancel(tag())
        case 6: .show(name(), page())
        case 7: .list(prefix: maybe { $0.name() }, page())
        case 8: .revoke(name(), token: maybe { $0.token() }, reason: maybe { $0.text(256) })
        case 9: .stats
        case 10: .history(name())
        case 11: .watch(prefix: maybe { $0.name() })
        case 12: .unwatch
        case 13: .histograms(page())
        default: Bool.random(using: &generator) ? .ping : .quit
        }
    }

    private mutating func reply() -> Reply {
        switch Int.random(in: 0..<31, using: &generator) {
        case 0:
            .welcome(
                .init(
                    daemonVersion: "1.\(number())",
                    version: number(),
                    session: SessionID(number()),
                    process: process(),
                    features: ["cancel", "list", "ttl"].filter { _ in Bool.random(using: &generator) },
                    lineByteCount: count(),
                    nameByteCount: count(),
                    resumed: maybe { $0.remainder() }
                )
            )
        case 1: .granted(names(), token: token(), timeToLive: maybe { $0.given() }, after: predecessor())
        case 2: .held(names(), token: token(), timeToLive: maybe { $0.given() })
        case 3: .busy(names(), holder: maybe { $0.holder() }, waiterCount: count())
        case 4: .timedOut(names(), waited: measured(), holder: maybe { $0.holder() }, waiterCount: count())
        case 5: .cancelled(names(), waited: measured())
        case 6: .released(names(), token: token())
        case 7: .renewed(names(), token: token(), timeToLive: maybe { $0.given() })
        case 8: .notHeld(name())
        case 9: .waitCancelled(tag())
        case 10: .notWaiting(tag())
        case 11: .lease(lease())
        case 12: .waiter(waiter())
        case 13: .end(next: maybe { $0.cursor() })
        case 14: .revoked(names(), token: token())
        case 15: .denied(names(), token: token(), holder: user())
        case 16: .statistic(key: "sessions-accepted", value: "\(number())")
        case 17: .pong
        case 18: .bye
        case 19: .error(error())
        case 20:
            .queued(
                names(),
                position: count(),
                on: maybe { $0.name() },
                holder: maybe { $0.holder() },
                waiterCount: count()
            )
        case 21: .deadlock(names(), edgeCount: count())
        case 22: .edge(edge())
        case 23: .hold(hold())
        case 24: .watching(prefix: maybe { $0.name() })
        case 25: .unwatched
        case 26: .watched(watchEvent())
        case 27: .lostEverything(reason: .logDamaged)
        case 29: .histogram(histogram())
        case 28: .restored(SessionID(number()), remainder())
        default: .lost(names(), token: token(), reason: lossReason())
        }
    }

    private mutating func histogram() -> Reply.HistogramLine {
        let bounds = Set((0..<20).map { _ in number() }).sorted().map { $0 as UInt64? } + [nil]
        return .init(
            name: maybe { $0.name() },
            subject: Bool.random(using: &generator) ? .wait : .hold,
            count: number(),
            sum: number(),
            buckets: bounds.map { .init(bound: $0, count: number()) }
        )
    }

    private mutating func remainder() -> Reply.Remainder { .init(leaseCount: count(), waiterCount: count()) }

    private mutating func lease() -> Reply.LeaseLine {
        .init(
            name: name(),
            token: token(),
            holderLimit: holderLimit(),
            peer: peer(),
            client: maybe { $0.text(64) },
            held: measured(),
            timeToLive: maybe { $0.given() },
            left: maybe { $0.measured() },
            owner: maybe { $0.text(64) },
            note: maybe { $0.text(256) },
            nameCount: Int.random(in: 1...16, using: &generator),
            binding: maybe { $0.binding() },
            detached: maybe { $0.measured() },
            waiterCount: count()
        )
    }

    private mutating func hold() -> Reply.HoldLine {
        .init(
            name: name(),
            token: token(),
            outcome: outcome(),
            peer: peer(),
            waited: measured(),
            held: measured(),
            ago: measured(),
            note: maybe { $0.text(256) }
        )
    }

    private mutating func edge() -> Reply.EdgeLine {
        .init(
            name: name(),
            waiterProcess: maybe { $0.process() },
            waiterOwner: maybe { $0.text(64) },
            waiterSession: maybe { SessionID($0.number()) },
            holder: peer(),
            holderOwner: maybe { $0.text(64) },
            obstacle: Bool.random(using: &generator)
                ? .lease(held: measured(), token: token()) : .request(waited: measured())
        )
    }

    private mutating func watchEvent() -> WatchEvent {
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: .queued(names(), by: peer(), position: count(), note: maybe { $0.text(256) })
        case 1:
            .unqueued(
                names(),
                by: peer(),
                waited: measured(),
                reason: Bool.random(using: &generator) ? .timeout : .cancelled
            )
        case 2: .granted(names(), to: peer(), token: token(), waited: measured(), note: maybe { $0.text(256) })
        case 3: .over(names(), of: peer(), outcome(), token: token(), held: measured(), note: maybe { $0.text(256) })
        default: .missed(count: number())
        }
    }

    private mutating func outcome() -> LeaseOutcome { LeaseOutcome.allCases.randomElement(using: &generator) ?? .ended }

    private mutating func binding() -> Binding { Bool.random(using: &generator) ? .pidfd : .pipe }

    private mutating func waiter() -> Reply.WaiterLine {
        .init(
            name: name(),
            position: count(),
            holderLimit: holderLimit(),
            peer: peer(),
            client: maybe { $0.text(64) },
            waited: measured(),
            left: maybe { $0.measured() },
            timeToLive: maybe { $0.given() },
            owner: maybe { $0.text(64) },
            note: maybe { $0.text(256) },
            nameCount: Int.random(in: 1...16, using: &generator),
            detached: maybe { $0.measured() }
        )
    }

    private mutating func error() -> WireError {
        let codes: [WireError.Code] = [.badName, .lineTooLong, .tooManyWaiters, .init(rawValue: "too-many-quarks")]
        let scopes: [WireError.Scope?] = [nil, .session, .user, .daemon]
        return WireError(
            codes.randomElement(using: &generator) ?? .badName,
            key: maybe { $0.text(10) },
            got: maybe { $0.text(64) },
            want: maybe { _ in "0|1ms..366d|forever" },
            limit: maybe { $0.count() },
            scope: scopes.randomElement(using: &generator) ?? nil
        )
    }

    private mutating func lossReason() -> Reply.LossReason {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: .expired
        case 1: .revoked(by: maybe { $0.user() }, process: maybe { $0.process() }, why: maybe { $0.text(256) })
        default: .other("quota")
        }
    }

    private mutating func holderLimit() -> HolderLimit {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: .shared
        case 1: HolderLimit(Int.random(in: 2...100_000, using: &generator))
        default: .exclusive
        }
    }

    private mutating func predecessor() -> Predecessor {
        guard Bool.random(using: &generator) else { return .unremarkable }
        let endings: [Abandonment.Ending] = [.ended, .expired, .revoked]
        return .abandoned(
            Abandonment(
                endings[Int.random(in: 0..<3, using: &generator)],
                token: token(),
                process: maybe { $0.process() },
                user: maybe { $0.user() },
                command: maybe { $0.text(15) },
                held: measured(),
                note: maybe { $0.text(256) }
            )
        )
    }

    private mutating func holder() -> Reply.Holder {
        Reply.Holder(
            peer: peer(),
            held: measured(),
            note: maybe { $0.text(256) },
            count: Int.random(in: 1...3, using: &generator)
        )
    }

    private mutating func peer() -> Reply.Peer {
        .init(
            session: maybe { SessionID($0.number()) },
            process: maybe { $0.process() },
            user: maybe { $0.user() },
            command: maybe { $0.text(15) },
            unit: maybe { $0.text(255) }
        )
    }

    private mutating func page() -> Request.Page {
        .init(after: maybe { $0.cursor() }, lineLimit: maybe { .random(in: 1...500, using: &$0.generator) })
    }

    private mutating func wait() -> WaitTimeout {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: .none
        case 1: .never
        default: .after(given())
        }
    }

    private mutating func maybe<Value>(_ value: (inout Self) -> Value) -> Value? {
        Bool.random(using: &generator) ? value(&self) : nil
    }

    /// A number of any magnitude.
    private mutating func number() -> UInt64 { generator.next() >> UInt64.random(in: 0..<64, using: &generator) }

    private mutating func count() -> Int { Int(number() >> 1) }
    private mutating func token() -> FencingToken { FencingToken(number()) }
    private mutating func user() -> UserID { UserID(UInt32(truncatingIfNeeded: number())) }
    private mutating func process() -> ProcessID { ProcessID(Int32(truncatingIfNeeded: number() & 0x7FFF_FFFF)) }
    private mutating func cursor() -> Cursor { Cursor(lock: number(), line: number()) }

    /// A duration that a client may ask for, of any unit.
    private mutating func given() -> Milliseconds {
        let units: [Int64] = [1, 1000, 60_000, 3_600_000, 86_400_000]
        let unit = units.randomElement(using: &generator) ?? 1
        return Milliseconds(unit * .random(in: 1...366, using: &generator))
    }

    private mutating func progress() -> Milliseconds {
        Milliseconds(.random(in: 100...Milliseconds.maximum.count, using: &generator))
    }

    private mutating func measured() -> Milliseconds { Milliseconds(.random(in: 0..<1 << 49, using: &generator)) }

    private mutating func bytes(_ limit: Int) -> [UInt8] {
        let isPlain = Bool.random(using: &generator)
        return (0..<Int.random(in: 1...limit, using: &generator)).map { _ in
            isPlain ? .random(in: 0x61...0x7A, using: &generator) : .random(in: 0...255, using: &generator)
        }
    }

    private mutating func name() -> LockName {
        guard let name = try? LockName(bytes: bytes(255)) else { preconditionFailure("1 to 255 bytes are a name") }
        return name
    }

    /// Mostly one name, as in life.
    private mutating func names() -> LockNames {
        var names = LockNames(name())
        for _ in 0..<Int.random(in: 0...3, using: &generator) where Bool.random(using: &generator) {
            names = names.adding(name()) ?? names
        }
        return names
    }

    private mutating func text(_ limit: Int) -> Text {
        guard let text = try? Text(bytes: bytes(limit), limit: limit) else {
            preconditionFailure("1 to \(limit) bytes are a text")
        }
        return text
    }

    private mutating func tag() -> Tag {
        let characters = Array("abcxyzABCXYZ0123456789._-:".utf8)
        let tag = (0..<Int.random(in: 1...32, using: &generator)).map { _ in
            characters.randomElement(using: &generator) ?? 0
        }
        guard let tag = tag.withUnsafeBytes(Tag.init(parsing:)) else { preconditionFailure("\(tag) is a tag") }
        return tag
    }
}
