import LockdModel
import LockdWire
import Testing

/// Every reply with its line, in the order of `docs/protocol.md`.
@Suite struct ReplyTests {
    private static let peer = Reply.Peer(
        session: SessionID(3),
        process: ProcessID(4121),
        user: UserID(1000),
        command: "gunicorn: w 1"
    )
    private static let unitPeer = Reply.Peer(
        session: SessionID(3),
        process: ProcessID(4121),
        user: UserID(1000),
        command: "x",
        unit: "web.service"
    )
    private static let unknownPeer = Reply.Peer(session: nil, process: nil, user: nil, command: nil)

    static let lines: [(String, Reply)] = [
        (
            "WELCOME lockd=1.0.0 v=1 session=3 pid=77 features=cancel,list line=8192 name=255",
            .welcome(
                .init(
                    daemonVersion: "1.0.0",
                    version: 1,
                    session: SessionID(3),
                    process: ProcessID(77),
                    features: ["cancel", "list"],
                    lineByteCount: 8192,
                    nameByteCount: 255
                )
            )
        ),
        (
            "WELCOME lockd=1 v=1 session=3 pid=77 features=resume line=8192 name=255 leases=2 waiters=1",
            .welcome(
                .init(
                    daemonVersion: "1",
                    version: 1,
                    session: SessionID(3),
                    process: ProcessID(77),
                    features: ["resume"],
                    lineByteCount: 8192,
                    nameByteCount: 255,
                    resumed: .init(leaseCount: 2, waiterCount: 1)
                )
            )
        ),
        (
            "GRANTED reports/nightly token=7",
            .granted("reports/nightly", token: 7, timeToLive: nil, after: .unremarkable)
        ),
        (
            "GRANTED a token=7 previous=ended previous-token=6 previous-pid=12 previous-uid=0 previous-command=a%20b previous-held=5ms previous-note=n",
            .granted(
                "a",
                token: 7,
                timeToLive: nil,
                after: .abandoned(
                    Abandonment(
                        .ended,
                        token: 6,
                        process: ProcessID(12),
                        user: .root,
                        command: "a b",
                        held: 5,
                        note: "n"
                    )
                )
            )
        ),
        (
            "GRANTED a%20b token=18446744073709551615 ttl=90s",
            .granted(LockNames("a b" as LockName), token: .init(.max), timeToLive: 90_000, after: .unremarkable)
        ),
        ("HELD a token=7", .held("a", token: 7, timeToLive: nil)),
        ("HELD a token=7 ttl=2m", .held("a", token: 7, timeToLive: 120_000)),
        ("BUSY a waiters=0", .busy("a", holder: nil, waiterCount: 0)),
        ("BUSY a held=5ms waiters=0", .busy("a", holder: .init(peer: unknownPeer, held: 5), waiterCount: 0)),
        (
            "BUSY a holder-pid=4121 holder-uid=1000 holder-command=gunicorn:%20w%201 holder-session=3 "
                + "held=120000ms waiters=2",
            .busy("a", holder: .init(peer: peer, held: 120_000), waiterCount: 2)
        ),
        ("TIMEOUT a waited=250ms waiters=0", .timedOut("a", waited: 250, holder: nil, waiterCount: 0)),
        (
            "TIMEOUT a waited=1000ms holder-pid=4121 holder-uid=1000 holder-command=gunicorn:%20w%201 holder-session=3 "
                + "held=0ms waiters=1",
            .timedOut("a", waited: 1000, holder: .init(peer: peer, held: 0), waiterCount: 1)
        ),
        ("CANCELLED a waited=0ms", .cancelled("a", waited: 0)),
        ("RELEASED a token=7", .released("a", token: 7)),
        ("RENEWED a token=7", .renewed("a", token: 7, timeToLive: nil)),
        ("RENEWED a token=7 ttl=1500ms", .renewed("a", token: 7, timeToLive: 1500)),
        ("NOTHELD a", .notHeld("a")),
        ("CANCELLED #t-1", .waitCancelled("t-1")),
        ("NOTWAITING #t-1", .notWaiting("t-1")),
        (
            "LEASE a token=7 held=3217ms waiters=0",
            .lease(.init(name: "a", token: 7, peer: unknownPeer, held: 3217, waiterCount: 0))
        ),
        (
            "LEASE a token=7 session=3 pid=4121 uid=1000 command=gunicorn:%20w%201 client=lockd-python/1.0 held=3217ms "
                + "ttl=1h left=59000ms owner=thread#1 note=the%20job waiters=4",
            .lease(
                .init(
                    name: "a",
                    token: 7,
                    peer: peer,
                    client: "lockd-python/1.0",
                    held: 3217,
                    timeToLive: 3_600_000,
                    left: 59_000,
                    owner: "thread#1",
                    note: "the job",
                    waiterCount: 4
                )
            )
        ),
        (
            "WAITER a position=1 waited=17ms",
            .waiter(.init(name: "a", position: 1, peer: unknownPeer, waited: 17))
        ),
        (
            "WAITER a position=2 session=3 pid=4121 uid=1000 command=gunicorn:%20w%201 client=lockctl/1.0 waited=17ms "
                + "left=983ms ttl=7d owner=o note=n",
            .waiter(
                .init(
                    name: "a",
                    position: 2,
                    peer: peer,
                    client: "lockctl/1.0",
                    waited: 17,
                    left: 983,
                    timeToLive: 604_800_000,
                    owner: "o",
                    note: "n"
                )
            )
        ),
        ("END", .end(next: nil)),
        ("END next=12.345", .end(next: Cursor(lock: 12, line: 345))),
        ("REVOKED a token=7", .revoked("a", token: 7)),
        ("DENIED a token=7 uid=1000", .denied("a", token: 7, holder: UserID(1000))),
        ("GRANTED b a c token=7", .granted("b a c", token: 7, timeToLive: nil, after: .unremarkable)),
        ("RELEASED b a c token=7", .released("b a c", token: 7)),
        ("* LOST b a token=7 reason=expired", .lost("b a", token: 7, reason: .expired)),
        (
            "BUSY a b holder-pid=4121 holder-uid=1000 holder-command=x holder-unit=web.service holder-session=3 held=5ms "
                + "holder-note=the%20job holders=2 waiters=0",
            .busy("a b", holder: .init(peer: unitPeer, held: 5, note: "the job", count: 2), waiterCount: 0)
        ),
        (
            "QUEUED a position=1 waiters=1",
            .queued("a", position: 1, on: nil, holder: nil, waiterCount: 1)
        ),
        (
            "QUEUED a b position=2 on=b holder-pid=4121 holder-uid=1000 holder-command=x holder-unit=web.service "
                + "holder-session=3 held=5ms waiters=3",
            .queued("a b", position: 2, on: "b", holder: .init(peer: unitPeer, held: 5), waiterCount: 3)
        ),
        ("DEADLOCK a b edges=2", .deadlock("a b", edgeCount: 2)),
        (
            "EDGE a waiter-pid=12 waiter-owner=t%201 waiter-session=4 holder-pid=4121 holder-uid=1000 holder-command=x "
                + "holder-unit=web.service holder-owner=o holder-session=3 held=5ms token=9",
            .edge(
                .init(
                    name: "a",
                    waiterProcess: ProcessID(12),
                    waiterOwner: "t 1",
                    waiterSession: SessionID(4),
                    holder: unitPeer,
                    holderOwner: "o",
                    obstacle: .lease(held: 5, token: 9)
                )
            )
        ),
        (
            "EDGE a waiter-pid=12 waiter-session=4 holder-pid=4121 holder-uid=1000 holder-command=x "
                + "holder-unit=web.service holder-session=3 waited=5ms",
            .edge(
                .init(
                    name: "a",
                    waiterProcess: ProcessID(12),
                    waiterSession: SessionID(4),
                    holder: unitPeer,
                    obstacle: .request(waited: 5)
                )
            )
        ),
        (
            "LEASE a token=7 limit=3 session=3 pid=4121 uid=1000 command=x unit=web.service held=1ms names=2 bound=pidfd "
                + "waiters=0",
            .lease(
                .init(
                    name: "a",
                    token: 7,
                    holderLimit: HolderLimit(3),
                    peer: unitPeer,
                    held: 1,
                    nameCount: 2,
                    binding: .pidfd,
                    waiterCount: 0
                )
            )
        ),
        (
            "WAITER a position=1 mode=shared session=3 pid=4121 uid=1000 command=x unit=web.service waited=1ms names=16",
            .waiter(.init(name: "a", position: 1, holderLimit: .shared, peer: unitPeer, waited: 1, nameCount: 16))
        ),
        (
            "HOLD a token=7 outcome=expired session=3 pid=4121 uid=1000 command=x unit=web.service waited=1ms held=2ms "
                + "ago=3ms note=n",
            .hold(
                .init(name: "a", token: 7, outcome: .expired, peer: unitPeer, waited: 1, held: 2, ago: 3, note: "n")
            )
        ),
        (
            "HOLD a token=7 outcome=ended waited=1ms held=2ms ago=3ms",
            .hold(.init(name: "a", token: 7, outcome: .ended, peer: unknownPeer, waited: 1, held: 2, ago: 3))
        ),
        ("WATCHING", .watching(prefix: nil)),
        ("WATCHING jobs/", .watching(prefix: "jobs/")),
        ("UNWATCHED", .unwatched),
        (
            "HISTOGRAM of=wait count=3 sum-us=1234 buckets-us=100:1,500:0,inf:2",
            .histogram(
                .init(
                    name: nil,
                    subject: .wait,
                    count: 3,
                    sum: 1234,
                    buckets: [.init(bound: 100, count: 1), .init(bound: 500, count: 0), .init(bound: nil, count: 2)]
                )
            )
        ),
        (
            "HISTOGRAM a of=hold count=0 sum-us=0 buckets-us=inf:0",
            .histogram(.init(name: "a", subject: .hold, count: 0, sum: 0, buckets: [.init(bound: nil, count: 0)]))
        ),
        (
            "* QUEUED a b session=3 pid=4121 uid=1000 command=x unit=web.service position=2 note=n",
            .watched(.queued("a b", by: unitPeer, position: 2, note: "n"))
        ),
        (
            "* UNQUEUED a waited=5ms reason=timeout",
            .watched(.unqueued("a", by: unknownPeer, waited: 5, reason: .timeout))
        ),
        (
            "* UNQUEUED a b waited=5ms reason=cancelled",
            .watched(.unqueued("a b", by: unknownPeer, waited: 5, reason: .cancelled))
        ),
        (
            "* GRANTED a b token=7 session=3 pid=4121 uid=1000 command=x unit=web.service waited=0ms note=n",
            .watched(.granted("a b", to: unitPeer, token: 7, waited: 0, note: "n"))
        ),
        (
            "* RELEASED a token=7 session=3 pid=4121 uid=1000 command=x unit=web.service held=5ms",
            .watched(.over("a", of: unitPeer, .released, token: 7, held: 5, note: nil))
        ),
        (
            "* EXPIRED a token=7 held=5ms note=n",
            .watched(.over("a", of: unknownPeer, .expired, token: 7, held: 5, note: "n"))
        ),
        (
            "* REVOKED a token=7 held=5ms",
            .watched(.over("a", of: unknownPeer, .revoked, token: 7, held: 5, note: nil))
        ),
        (
            "* ABANDONED a b token=7 held=5ms",
            .watched(.over("a b", of: unknownPeer, .ended, token: 7, held: 5, note: nil))
        ),
        ("* MISSED count=18446744073709551615", .watched(.missed(count: .max))),
        (
            "ERROR bad-descriptor got=none want=read-end-of-a-pipe",
            .error(.init(.badDescriptor, got: "none", want: "read-end-of-a-pipe"))
        ),
        ("ERROR too-many-bytes limit=64 scope=user", .error(.init(.tooManyBytes, limit: 64, scope: .user))),
        ("STAT sessions-limit=8192", .statistic(key: "sessions-limit", value: "8192")),
        ("PONG", .pong),
        ("BYE", .bye),
        ("ERROR line-too-long limit=8192", .error(.init(.lineTooLong, limit: 8192))),
        (
            "ERROR bad-duration key=wait got=10%20 want=0|1ms..366d|forever",
            .error(.init(.badDuration, key: "wait", got: "10 ", want: "0|1ms..366d|forever"))
        ),
        ("ERROR tag-in-use got=#t", .error(.init(.tagInUse, got: "#t"))),
        ("ERROR late-hello want=first-line", .error(.init(.lateHello, want: "first-line"))),
        ("ERROR too-many-sessions limit=8192", .error(.init(.tooManySessions, limit: 8192))),
        (
            "ERROR too-many-leases limit=10000 scope=session",
            .error(.init(.tooManyLeases, limit: 10_000, scope: .session))
        ),
        (
            "ERROR too-many-waiters limit=100000 scope=daemon",
            .error(.init(.tooManyWaiters, limit: 100_000, scope: .daemon))
        ),
        ("* LOST a token=7 reason=expired", .lost("a", token: 7, reason: .expired)),
        (
            "* LOST a token=7 reason=revoked by-uid=0 by-pid=99 why=stuck%25",
            .lost("a", token: 7, reason: .revoked(by: .root, process: ProcessID(99), why: "stuck%"))
        ),
        ("* LOST a token=7 reason=revoked", .lost("a", token: 7, reason: .revoked(by: nil, process: nil, why: nil))),
        ("* LOST reason=log-damaged", .lostEverything(reason: .logDamaged)),
        (
            "* RESTORED session=3 leases=2 waiters=1",
            .restored(SessionID(3), .init(leaseCount: 2, waiterCount: 1))
        ),
        ("* LOST a token=7 reason=quota", .lost("a", token: 7, reason: .other("quota"))),
    ]

    @Test(arguments: lines)
    func aReplyIsWrittenAsItsLine(line: String, reply: Reply) {
        #expect(encode(TaggedReply(reply)) == line)
        #expect(encode(TaggedReply(tag: "t:1", reply)) == "#t:1 " + line)
    }

    @Test(arguments: lines)
    func aLineIsReadAsItsReply(line: String, reply: Reply) throws {
        #expect(try decodeReply(line) == TaggedReply(reply))
        if !line.hasPrefix("*") { #expect(try decodeReply("#t:1 " + line) == TaggedReply(tag: "t:1", reply)) }
    }

    @Test func repliesAreAppendedToWhatIsThere() {
        var out: [UInt8] = []
        ReplyEncoder.encode(TaggedReply(.pong), to: &out)
        ReplyEncoder.encode(.notHeld("a"), tag: "t", to: &out)
        #expect(String(decoding: out, as: UTF8.self) == "PONG\n#t NOTHELD a\n")
    }

    @Test(
        arguments: [
            0, 9, 10, 99, 100, 999_999_999, 1_000_000_000, 9_999_999_999_999_999_999, 10_000_000_000_000_000_000, .max,
        ] as [UInt64]
    )
    func numbersAreWrittenInDecimal(number: UInt64) {
        #expect(encode(TaggedReply(.released("a", token: .init(number)))) == "RELEASED a token=\(number)")
    }
}

/// What a client of this version makes of a daemon of another.
@Suite struct GrowthTests {
    @Test(
        arguments: [
            ("GRANTED a mode=shared token=7 since=now", .granted("a", token: 7, timeToLive: nil, after: .unremarkable)),
            ("RELEASED a token=7 token=8", .released("a", token: 7)),
            ("RELEASED a taken=9 tokem=8 token=7", .released("a", token: 7)),
            ("PONG load=3", .pong),
            ("END pages=2", .end(next: nil)),
            ("NOTHELD a why=expired", .notHeld("a")),
            ("NOTWAITING #t answered=GRANTED", .notWaiting("t")),
            ("* LOST a token=7 reason=expired at=3", .lost("a", token: 7, reason: .expired)),
            ("ERROR bad-name hint=x", .error(.init(.badName))),
        ] as [(String, Reply)]
    )
    func unknownKeysAreIgnored(line: String, reply: Reply) throws {
        #expect(try decodeReply(line) == TaggedReply(reply))
    }

    @Test(arguments: ["* DRAINING", "* UNWATCHED", "* GAINED a token=7", "* lost a", "* % anything|at=all"])
    func unknownEventsAreIgnored(line: String) throws {
        #expect(try decodeReply(line) == nil)
    }

    @Test func anUnknownErrorCodeSurvives() throws {
        let line = "ERROR too-many-quarks limit=3 scope=galaxy"
        #expect(
            try decodeReply(line)
                == TaggedReply(.error(.init(WireError.Code(rawValue: "too-many-quarks"), limit: 3, scope: nil)))
        )
    }

    @Test func measuredTimesMayBeLongerThanAnythingThatCanBeAskedFor() throws {
        #expect(
            try decodeReply("CANCELLED a waited=999999999999999ms")
                == TaggedReply(.cancelled("a", waited: 999_999_999_999_999))
        )
        #expect(throws: MalformedReply.self) { try decodeReply("CANCELLED a waited=1000000000000s") }
        #expect(throws: MalformedReply.self) { try decodeReply("CANCELLED a waited=1000000000000s") }
    }

    @Test func textsMayBeLongerThanThisVersionSends() throws {
        let long = String(repeating: "n", count: 1000)
        let reply = try decodeReply("WAITER a position=1 waited=0ms note=\(long)")
        guard case .waiter(let line) = reply?.reply else {
            Issue.record("\(String(describing: reply))")
            return
        }
        #expect(line.note?.spelling == long)
    }
}
