import LockdCore
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

/// Sessions that go on with another connection, in a service with a log.
@Suite struct ResumingTests {
    private let directory: TemporaryDirectory
    private let origin = LogOrigin(boot: 1, bootRest: 2, pidNamespace: 3)
    private let now = MonotonicInstant(nanoseconds: 0)
    private var path: String { directory.path + "/log" }

    init() throws { directory = try TemporaryDirectory() }

    private func service(flushWatcher: ((Session) -> Void)? = nil) throws -> LockService {
        let log = try WriteAheadLog(path: path, origin: origin, capacity: 1 << 20)
        var service = LockService(
            identity: .init(version: "0.0.0", process: ProcessID(1), startTime: 0),
            limits: Limits(),
            tokens: EndlessTokens(),
            at: now,
            flush: { _ in },
            record: { _ in },
            flushWatcher: flushWatcher,
            binder: nil,
            log: log,
            table: LockTable(
                limits: Limits(),
                firstToken: FencingToken(1),
                reservedThrough: FencingToken(TokenReserver.largestBlockSize)
            )
        )
        service.commit(at: now)
        try log.publish()
        return service
    }

    private func open(_ number: UInt64, _ service: inout LockService) -> Session {
        let process = ProcessIdentity(pidfd: FileIdentity(device: 1, number: number), startTime: 0)
        let peer = Peer(process: ProcessID(Int32(number)), user: UserID(1000))
        return service.open(peer, process, as: service.makeSessionID(), at: now)
    }

    private func send(_ text: String, _ session: Session, _ service: inout LockService) {
        Array(text.utf8).withUnsafeBytes { service.receive($0, from: session, at: now) }
    }

    /// Gives the session its connection that has asked for it.
    private func finish(_ service: inout LockService) {
        guard let resumption = service.takeResumptions().first else {
            Issue.record("nobody is resumed")
            return
        }
        service.finish(resumption, at: now)
        service.commit(at: now)
    }

    private func read(_ session: Session) -> [String] {
        var text = ""
        session.output.drain { bytes in
            text = String(decoding: bytes, as: UTF8.self)
            return bytes.count
        }
        return text.split(separator: "\n").map(String.init)
    }

    private func contents() throws -> LogContents {
        guard case .contents(let contents) = try LogReader.read(path, origin: origin) else { return LogContents() }
        return contents
    }

    @Test func sessionOfAnotherProcessIsNotResumed() throws {
        var service = try service()
        let (first, foreign) = (open(1, &service), open(2, &service))
        send("HELLO\n", first, &service)
        send("HELLO resume=1\nPING\n", foreign, &service)
        #expect(service.takeResumptions().first.map(\.former.id) == nil)
        #expect(read(foreign) == ["ERROR foreign-process key=resume got=1 want=session-of-your-process", "PONG"])
    }

    @Test func sessionOfAProcessThatIsNotKnownIsNotResumed() throws {
        var service = try service()
        let peer = Peer(process: ProcessID(1), user: UserID(1000))
        let (first, second) = (service.open(peer, at: now), service.open(peer, at: now))
        send("HELLO\n", first, &service)
        send("HELLO resume=1\n", second, &service)
        #expect(service.takeResumptions().first.map(\.former.id) == nil)
    }

    @Test func sessionIsResumedByOneThatHasHungUpAlready() throws {
        var service = try service()
        let (first, second) = (open(1, &service), open(1, &service))
        send("HELLO\nACQUIRE a\n", first, &service)
        service.endInput(of: second, at: now)
        send("HELLO resume=1\nRELEASE a\n", second, &service)
        _ = read(first)
        finish(&service)
        #expect(read(first).map { $0.prefix(9) } == ["WELCOME l", "RELEASED "])
        service.end(first, at: now)
        service.table.checkInvariants()
    }

    @Test func welcomeOfAResumedSessionIsWrittenDownBeforeItIsTold() throws {
        var service = try service()
        let (first, second) = (open(1, &service), open(1, &service))
        send("HELLO\n", first, &service)
        _ = read(first)
        service.commit(at: now)
        service.noteWritten(at: now)
        send("HELLO resume=1\n", second, &service)
        service.commit(at: now)
        finish(&service)
        let output = try #require(try contents().outputs[first.id])
        #expect(String(decoding: output.lines, as: UTF8.self).hasPrefix("WELCOME "))
        #expect(output.lines == first.output.withLines { Array($0) })
    }

    @Test func helloIsWrittenDownUntilTheSessionIsResumed() throws {
        var service = try service()
        let (first, second) = (open(1, &service), open(1, &service))
        send("HELLO\n", first, &service)
        _ = read(first)
        send("#h HELLO resume=1 client=again\nPI", second, &service)
        service.commit(at: now)
        // The next daemon has not heard of it, and takes it.
        let found = try contents()
        let line = try #require(found.inputs[second.id]).bytes
        let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        #expect(Set(words) == ["#h", "HELLO", "v=1", "resume=1", "client=again", "PI"])
        #expect(found.sessions.first { $0.table.id == second.id }?.hasSpoken == false)
        finish(&service)
        #expect(try contents().inputs[second.id] == nil)
    }

    @Test func helloOfASessionThatIsWelcomedAsANewOneIsForgotten() throws {
        var service = try service()
        let (first, second) = (open(1, &service), open(1, &service))
        send("HELLO\n", first, &service)
        send("HELLO resume=1\n", second, &service)
        service.commit(at: now)
        let resumption = try #require(service.takeResumptions().first)
        service.end(first, at: now)
        service.greetAsNew(second, resumption, at: now)
        service.commit(at: now)
        #expect(try contents().inputs[second.id] == nil)
        #expect(try contents().sessions.first { $0.table.id == second.id }?.hasSpoken == true)
    }

    /// What the log said whenever a watcher was written to.
    private final class Snapshots {
        var contents: [LogContents] = []
    }

    @Test func linesThatWereNotTakenAreWrittenDownWhenAWatcherIsWrittenToBetweenTwo() throws {
        let (snapshots, path, origin) = (Snapshots(), path, origin)
        var service = try service { _ in
            if case .contents(let found)? = try? LogReader.read(path, origin: origin) {
                snapshots.contents.append(found)
            }
        }
        let (watcher, busy) = (open(1, &service), open(2, &service))
        send("WATCH\n", watcher, &service)
        send("PING\n", busy, &service)
        let filler = String(repeating: "x", count: 200)
        while watcher.output.count + 600 < LockService.outputLimit {
            send("#1 ACQUIRE \(filler)\n#2 RELEASE \(filler)\n", busy, &service)
            _ = read(busy)
        }
        service.commit(at: now)
        service.noteWritten(at: now)
        #expect(snapshots.contents.isEmpty)
        let lines = (1...20).map { "#\($0) \($0.isMultiple(of: 2) ? "RELEASE" : "ACQUIRE") a\n" }.joined() + "SHOW a"
        send(lines, busy, &service)
        let snapshot = try #require(snapshots.contents.first)
        let answered = snapshot.outputs[busy.id]?.lines.count { $0 == UInt8(ascii: "\n") } ?? 0
        let left = String(decoding: snapshot.inputs[busy.id]?.bytes ?? [], as: UTF8.self)
        #expect(1..<20 ~= answered)
        #expect(left.hasSuffix("SHOW a") && left.hasPrefix("#\(answered + 1) "))
        service.commit(at: now)
        #expect(try contents().inputs[busy.id]?.bytes == Array("SHOW a".utf8))
    }

    @Test func severalSessionsAreResumedInOneTurn() throws {
        var service = try service()
        let sessions = [1, 2, 1, 2].map { open($0, &service) }
        for session in sessions[..<2] { send("HELLO\n", session, &service) }
        send("HELLO resume=1\n", sessions[2], &service)
        send("HELLO resume=2\n", sessions[3], &service)
        let resumptions = service.takeResumptions()
        #expect(resumptions.map(\.former.id) == sessions[..<2].map(\.id))
        #expect(resumptions.map(\.session.id) == sessions[2...].map(\.id))
        #expect(service.takeResumptions().isEmpty)
    }

    @Test func whatWasHeldBackIsWrittenDownWithoutTheLineThatWasNotComplete() throws {
        var service = try service()
        let (holder, first, second) = (open(1, &service), open(2, &service), open(2, &service))
        send("ACQUIRE a\n", holder, &service)
        send("HELLO\nACQUIRE a\nPING\nREL", first, &service)
        service.commit(at: now)
        #expect(try contents().inputs[first.id]?.bytes == Array("PING\nREL".utf8))
        send("HELLO resume=2\nLIST\n", second, &service)
        service.commit(at: now)
        finish(&service)
        #expect(try contents().inputs[first.id]?.bytes == Array("PING\nLIST\n".utf8))
    }

    @Test func nothingIsLeftOfALineThatWasNotComplete() throws {
        var service = try service()
        let (first, second) = (open(2, &service), open(2, &service))
        send("HELLO\nREL", first, &service)
        service.commit(at: now)
        send("HELLO resume=1\n", second, &service)
        service.commit(at: now)
        finish(&service)
        #expect(try contents().inputs.isEmpty)
    }
}
