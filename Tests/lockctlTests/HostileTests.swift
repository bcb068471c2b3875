import LockdModel
import LockdWire
import Testing

@testable import lockctl

/// What strangers put into names, notes, commands and units: none of it does anything to a terminal, a log or a parser of JSON.
@Suite struct HostileTests {
    /// An escape sequence, a new line, quotes, a right-to-left override, a C1 control character, and a byte that is no UTF-8.
    private static let bytes = Array("\u{1B}]0;x\u{07}\n\r\"'\\\u{202E}\u{9B}%".utf8) + [0xFF]
    private static let spelling = "%1B]0;x%07%0A%0D\"'\\%E2%80%AE%C2%9B%25%FF"

    private let name: LockName
    private let names: LockNames
    private let text: Text
    private let peer: Reply.Peer
    private let now = WallTime(milliseconds: 1_764_000_000_000)

    init() throws {
        name = try LockName(bytes: Self.bytes)
        names = try #require(LockNames(name, [try LockName("b\t")]))
        text = try Text(bytes: Self.bytes, limit: 255)
        peer = Reply.Peer(session: SessionID(1), process: ProcessID(2), user: UserID(3), command: text, unit: text)
    }

    private func isHarmless(_ line: String) -> Bool {
        line.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && !(0x80...0x9F).contains($0.value) }
            && !line.contains("\u{202E}")
    }

    @Test func reportsOnWaits() {
        let holder = Reply.Holder(peer: peer, held: Milliseconds(1), note: text, count: 2)
        let line = WaitReport.line(names, 1, name, holder, 3, at: now)
        #expect(isHarmless(line), "\(line)")
        #expect(line.contains(Self.spelling))
        #expect(isHarmless(Situation.words(holder, 3)))
    }

    @Test func deadlocks() {
        let edge = Reply.EdgeLine(
            name: name,
            waiterProcess: ProcessID(1),
            waiterOwner: text,
            waiterSession: nil,
            holder: peer,
            holderOwner: text,
            obstacle: .lease(held: Milliseconds(1), token: FencingToken(7))
        )
        let lines = Situation.deadlock(names, [edge])
        #expect(lines.count == 2)
        for line in lines { #expect(isHarmless(line), "\(line)") }
    }

    @Test func abandonedLeases() {
        let abandonment = Abandonment(
            .expired,
            token: FencingToken(7),
            process: ProcessID(1),
            user: UserID(3),
            command: text,
            held: Milliseconds(1),
            note: text
        )
        let line = names.sentence(of: abandonment)
        #expect(isHarmless(line), "\(line)")
        #expect(line.contains(Self.spelling))
    }

    private var events: [WatchEvent] {
        [
            .queued(names, by: peer, position: 1, note: text),
            .unqueued(names, by: peer, waited: Milliseconds(1), reason: .timeout),
            .granted(names, to: peer, token: FencingToken(7), waited: Milliseconds(1), note: text),
            .over(names, of: peer, .ended, token: FencingToken(7), held: Milliseconds(1), note: text),
            .missed(count: 3),
        ]
    }

    @Test func eventsForPeople() {
        for event in events {
            let line = Watch.line(event, at: now, with: Ink(isColoured: false))
            #expect(isHarmless(line), "\(line)")
        }
    }

    @Test func eventsForPrograms() {
        let name = #""%1B]0;x%07%0A%0D\"'\\%E2%80%AE%C2%9B%25%FF""#
        for event in events {
            let line = Watch.json(event, at: now).line
            #expect(line.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "\(line)")
            if case .missed = event { continue }
            #expect(line.contains(#""names":[\#(name),"b%09"]"#), "\(line)")
        }
        #expect(
            Watch.json(events[4], at: now).line == #"{"event":"missed","time_ms":1764000000000,"count":3}"#
        )
    }

    @Test func histories() {
        let line = Reply.HoldLine(
            name: name,
            token: FencingToken(7),
            outcome: .revoked,
            peer: peer,
            waited: Milliseconds(1),
            held: Milliseconds(2),
            ago: Milliseconds(3),
            note: text
        )
        for row in History.table([line], at: now).lines { #expect(isHarmless(row), "\(row)") }
        let json = History.json(line).line
        #expect(json.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "\(json)")
        #expect(json.contains(#""outcome":"revoked","token":7,"pid":2"#), "\(json)")
    }

    /// What is printable in whatever script is shown as it is to people, and as ASCII to programs.
    @Test func unicodeIsNoThreat() throws {
        let names = LockNames(try LockName("Zürich 東京 🚲"))
        let event = WatchEvent.queued(names, by: peer, position: 1, note: nil)
        #expect(Watch.line(event, at: now, with: Ink(isColoured: false)).contains("queued Zürich 東京 🚲 for "))
        #expect(Watch.json(event, at: now).line.contains(#"["Z\u00fcrich \u6771\u4eac \ud83d\udeb2"]"#))
    }
}

/// What is said of a wait.
@Suite struct WaitReportTests {
    private let names = LockNames(mustBe: "db")
    private let now = WallTime(milliseconds: 1_764_000_000_000)

    @Test func sayWhoHoldsAndHowManyAreAhead() throws {
        let peer = Reply.Peer(
            session: nil,
            process: ProcessID(12),
            user: UserID(4_000_000_000),
            command: try Text("backup", limit: 15),
            unit: try Text("backup.service", limit: 255)
        )
        let holder = Reply.Holder(peer: peer, held: .seconds(60), note: try Text("nightly run", limit: 255), count: 3)
        let since = now.earlier(by: .seconds(60)).display(at: now)
        #expect(
            WaitReport.line(names, 2, nil, holder, 3, at: now)
                == "waiting for db, #2 of 3: held by backup (pid 12, user 4000000000, backup.service) and 2 more "
                + "since \(since) (nightly run)"
        )
        #expect(
            WaitReport.line(names, 2, nil, holder, 3, at: now, isBrief: true)
                == "waiting for db, #2 of 3: held by backup (pid 12) and 2 more: nightly run, since \(since)"
        )
        #expect(WaitReport.line(names, 1, nil, nil, 1, at: now) == "waiting for db, next: held by nobody")
        let two = try #require(LockNames(names.first, [try LockName("x")]))
        let waiting = WaitReport.line(two, 1, try LockName("x"), nil, 2, at: now)
        #expect(waiting == "waiting for db x, #1 of 2: x is held by nobody")
    }

    @Test(arguments: [
        ("abc", 10, "abc"), ("abcdefgh", 9, "abcdefgh"), ("abcdefghi", 9, "abcdefg…"), ("日日日日", 6, "日日…"),
        ("üüü", 4, "üüü"), ("üüü", 3, "ü…"),
        ("abc", 1, "…"),
    ])
    func linesAreCutToTheScreen(line: String, columns: Int, expected: String) {
        #expect(Terminal.cut(line, columns: columns) == expected)
    }

    @Test func dateIsSaidOfWhatIsLongAgo() {
        #expect(now.earlier(by: .seconds(60)).display(at: now).count == 8)
        #expect(now.earlier(by: .seconds(43_200)).display(at: now).count == 19)
    }
}

extension LockNames {
    fileprivate init(mustBe name: String) {
        guard let name = try? LockName(name) else { preconditionFailure("not a name: \(name)") }
        self.init(name)
    }
}
