import LockdModel
import LockdWire
import Testing

/// Lines in which everything is as long as it can be: a writer without room for one of them would end the daemon.
@Suite struct LongestLineTests {
    private static let tag: LockdModel.Tag = "0123456789abcdef0123456789ABCDEF"
    private static let time = Milliseconds(999_999_999_999_999)
    private static let token = FencingToken(.max)

    /// `count` bytes that all need escapes, the first of them telling one such name from the others.
    private static func escaped(_ count: Int, _ first: UInt8 = 0xFF) -> [UInt8] {
        [first] + [UInt8](repeating: 0xFF, count: count - 1)
    }

    private static func text(_ count: Int) -> Text {
        guard let text = try? Text(bytes: escaped(count), limit: count) else { preconditionFailure("no text") }
        return text
    }

    private static let name: LockName = {
        guard let name = try? LockName(bytes: escaped(255)) else { preconditionFailure("no name") }
        return name
    }()

    private static let names: LockNames = {
        let names = (UInt8(0x80)..<0x90).compactMap { try? LockName(bytes: escaped(255, $0)) }
        guard names.count == 16, let all = LockNames(names[0], Array(names.dropFirst())) else {
            preconditionFailure("no names")
        }
        return all
    }()

    /// A unit may be called like a file.
    private static let peer = Reply.Peer(
        session: SessionID(.max),
        process: ProcessID(.max),
        user: UserID(.max),
        command: text(15),
        unit: text(255)
    )
    private static let holder = Reply.Holder(peer: peer, held: time, note: text(256), count: .max)
    private static let remainder = Reply.Remainder(leaseCount: .max, waiterCount: .max)
    private static let limit = HolderLimit(.max - 1)

    static let replies: [Reply] =
        [
            .welcome(
                .init(
                    daemonVersion: "100.100.100",
                    version: .max,
                    session: SessionID(.max),
                    process: ProcessID(.max),
                    features: [String](repeating: "max-queue", count: 30),
                    lineByteCount: .max,
                    nameByteCount: .max,
                    resumed: remainder
                )
            ),
            .granted(names, token: token, timeToLive: time, after: .unremarkable),
            .granted(
                names,
                token: token,
                timeToLive: time,
                after: .abandoned(
                    Abandonment(
                        .expired,
                        token: token,
                        process: ProcessID(.max),
                        user: UserID(.max),
                        command: text(15),
                        held: time,
                        note: text(256)
                    )
                )
            ),
            .held(names, token: token, timeToLive: time),
            .queued(names, position: .max, on: name, holder: holder, waiterCount: .max),
            .busy(names, holder: holder, waiterCount: .max),
            .timedOut(names, waited: time, holder: holder, waiterCount: .max),
            .cancelled(names, waited: time),
            .deadlock(names, edgeCount: .max),
            .released(names, token: token),
            .renewed(names, token: token, timeToLive: time),
            .notHeld(name),
            .waitCancelled(tag),
            .notWaiting(tag),
            .end(next: Cursor(lock: .max, line: .max)),
            .watching(prefix: name),
            .unwatched,
            .revoked(names, token: token),
            .denied(names, token: token, holder: UserID(.max)),
            .statistic(key: "sessions-per-user-limit", value: "\(UInt64.max)"),
            .histogram(
                .init(
                    name: name,
                    subject: .hold,
                    count: .max,
                    sum: .max,
                    buckets: .init(repeating: .init(bound: .max, count: .max), count: 30)
                )
            ),
            .pong,
            .bye,
            .error(
                .init(
                    .unexpectedArgument,
                    key: text(64),
                    got: text(64),
                    want:
                        "HELLO|ACQUIRE|RELEASE|RENEW|CANCEL|SHOW|LIST|HISTORY|WATCH|UNWATCH|REVOKE|STATS|HISTOGRAMS|PING|QUIT",
                    limit: .max,
                    scope: .session
                )
            ),
            .lost(names, token: token, reason: .expired),
            .lostEverything(reason: .logDamaged),
            .restored(SessionID(.max), remainder),
            .lost(
                names,
                token: token,
                reason: .revoked(by: UserID(.max), process: ProcessID(.max), why: text(256))
            ),
        ] + listings + events

    private static let listings: [Reply] = [
        .lease(
            .init(
                name: name,
                token: token,
                holderLimit: limit,
                peer: peer,
                client: text(64),
                held: time,
                timeToLive: time,
                left: time,
                owner: text(64),
                note: text(256),
                nameCount: .max,
                binding: .pidfd,
                detached: time,
                waiterCount: .max
            )
        ),
        .waiter(
            .init(
                name: name,
                position: .max,
                holderLimit: limit,
                peer: peer,
                client: text(64),
                waited: time,
                left: time,
                timeToLive: time,
                owner: text(64),
                note: text(256),
                nameCount: .max,
                detached: time
            )
        ),
        .hold(
            .init(
                name: name,
                token: token,
                outcome: .released,
                peer: peer,
                waited: time,
                held: time,
                ago: time,
                note: text(256)
            )
        ),
        .edge(
            .init(
                name: name,
                waiterProcess: ProcessID(.max),
                waiterOwner: text(64),
                waiterSession: SessionID(.max),
                holder: peer,
                holderOwner: text(64),
                obstacle: .lease(held: time, token: token)
            )
        ),
    ]

    private static let events: [Reply] = [
        .watched(.queued(names, by: peer, position: .max, note: text(256))),
        .watched(.unqueued(names, by: peer, waited: time, reason: .cancelled)),
        .watched(.granted(names, to: peer, token: token, waited: time, note: text(256))),
        .watched(.over(names, of: peer, .ended, token: token, held: time, note: text(256))),
        .watched(.missed(count: .max)),
    ]

    @Test(arguments: replies)
    func everyReplyFitsHoweverLongItIs(reply: Reply) {
        let line = encode(TaggedReply(tag: Self.tag, reply))
        // Far below what clients take for a broken stream.
        #expect(line.utf8.count < 16 * 1024)
    }

    /// Also behind others, where the memory is what is left of theirs.
    @Test func allOfThemFitOneBehindTheOther() {
        var bytes: [UInt8] = []
        for reply in Self.replies { ReplyEncoder.encode(reply, tag: Self.tag, to: &bytes) }
        #expect(bytes.count { $0 == UInt8(ascii: "\n") } == Self.replies.count)
    }

    @Test func theLongestRequestWithOneNameIsFarFromTheLimitOfALine() throws {
        let request = AcquireTerms(
            name: Self.name,
            wait: .after(.init(31_622_399_999)),
            queueLimit: 100_000,
            holderLimit: HolderLimit(100_000),
            timeToLive: 31_622_399_999,
            owner: Self.text(64),
            note: Self.text(256),
            progress: 31_622_399_999,
            binding: .pidfd
        )
        let line = encode(TaggedRequest(tag: Self.tag, .acquire(request)))
        #expect(line.utf8.count < 2000)
        #expect(try decodeRequest(line).request == .acquire(request))
    }

    /// A request that is as long as a line may be, or longer, is written all the same: it is the daemon that refuses it.
    @Test func everyRequestFitsHoweverLongItIs() throws {
        var terms = AcquireTerms(
            names: Self.names,
            wait: .after(Self.time),
            queueLimit: .max,
            holderLimit: Self.limit,
            timeToLive: Self.time,
            owner: Self.text(64),
            note: Self.text(256),
            progress: Self.time,
            binding: .pidfd
        )
        #expect(encode(TaggedRequest(tag: Self.tag, .acquire(terms))).utf8.count > ProtocolLimits.lineByteCount)
        // In a line that has them as they are, those names are read.
        terms = AcquireTerms(names: Self.names)
        let line = Array("ACQUIRE".utf8) + Self.names.flatMap { [UInt8(ascii: " ")] + $0.bytes }
        #expect(line.count < ProtocolLimits.lineByteCount)
        #expect(try decodeRequest(line).request == .acquire(terms))
        for request in [
            .hello(.init(version: .max, client: Self.text(64), resume: SessionID(.max))),
            .release(Self.name, token: Self.token),
            .renew(Self.name, token: Self.token, timeToLive: Self.time),
            .cancel(Self.tag),
            .show(Self.name, .init(after: Cursor(lock: .max, line: .max), lineLimit: .max)),
            .list(prefix: Self.name, .init(after: Cursor(lock: .max, line: .max), lineLimit: .max)),
            .history(Self.name),
            .watch(prefix: Self.name),
            .unwatch,
            .histograms(.init(after: Cursor(lock: .max, line: .max), lineLimit: .max)),
            .revoke(Self.name, token: Self.token, reason: Self.text(256)),
        ] as [Request] {
            #expect(encode(TaggedRequest(tag: Self.tag, request)).utf8.count < 2000)
        }
    }
}
