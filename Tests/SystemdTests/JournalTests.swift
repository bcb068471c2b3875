import CLinux
import Glibc
import Logging
import Synchronization
import Testing

@testable import Systemd

@Suite struct JournalTests {
    private func fields(_ text: String, _ metadata: Logger.Metadata, level: Logger.Level = .notice) -> [String] {
        JournalEntry(event(text, metadata, level: level), metadata: metadata).fields.map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    private func event(_ text: String, _ metadata: Logger.Metadata, level: Logger.Level = .notice) -> LogEvent {
        LogEvent(
            level: level,
            message: "\(text)",
            metadata: metadata,
            source: "test",
            file: "LockdServer/Server.swift",
            function: "run()",
            line: 42
        )
    }

    @Test func aMessageIsToldInFields() {
        #expect(
            fields("something", ["peer.uid": "1000", "sessions-per-user.limit": "5"]) == [
                "MESSAGE=something", "PRIORITY=5", "SYSLOG_IDENTIFIER=lockd", "CODE_FILE=LockdServer/Server.swift",
                "CODE_LINE=42", "CODE_FUNC=run()", "LOCKD_PEER_UID=1000", "LOCKD_SESSIONS_PER_USER_LIMIT=5",
            ]
        )
    }

    @Test(arguments: zip(Logger.Level.allCases, ["7", "7", "6", "5", "4", "3", "2"]))
    func levelsAreThePrioritiesOfSyslog(level: Logger.Level, priority: String) {
        #expect(fields("", [:], level: level)[1] == "PRIORITY=" + priority)
    }

    @Test func aMessageThatTheCatalogExplainsHasItsNumber() throws {
        let number = try #require(JournalMessage.identifiers["revoked"])
        #expect(fields("revoked", [:]).contains("MESSAGE_ID=\(number)"))
        #expect(!fields("something", [:]).contains { $0.hasPrefix("MESSAGE_ID") })
    }

    @Test func aKeyNamesAFieldOfItsOwnWhateverIsInIt() {
        #expect(fields("", ["_pid\nMESSAGE=x": "1"]).last == "LOCKD__PID_MESSAGE_X=1")
        #expect(fields("", ["é": "1"]).last == "LOCKD___=1")
        let long = fields("", [String(repeating: "k", count: 100): "1"]).last
        #expect(long == "LOCKD_" + String(repeating: "K", count: 58) + "=1")
    }

    @Test func aValueIsBytesOfBoundedLength() {
        #expect(fields("", ["name": "a\nMESSAGE=forged"]).last == "LOCKD_NAME=a\nMESSAGE=forged")
        let long = fields("", ["name": "\(String(repeating: "n", count: 20_000))"]).last
        #expect(long?.utf8.count == "LOCKD_NAME=".utf8.count + JournalEntry.valueByteCount)
    }

    @Test func noMoreFieldsAreSentThanMay() {
        let metadata = (0..<100).map { (String(format2: $0), Logger.MetadataValue.string("")) }
        let sent = fields("", Dictionary(uniqueKeysWithValues: metadata)).filter { $0.hasPrefix("LOCKD_") }
        #expect(sent.count == JournalEntry.metadataLimit)
    }

    @Test func whatTheJournalTakesIsWrittenNowhereElse() {
        let journal = Recorder()
        let substitute = Recorder()
        let logger = logger(substitute) { entry in
            journal.add(String(decoding: Array(entry.fields.joined(separator: [UInt8(ascii: "|")])), as: UTF8.self))
            return true
        }
        logger.notice("something", metadata: ["a": "1"])
        #expect(journal.lines.count == 1)
        #expect(journal.lines.first?.contains("|LOCKD_A=1|LOCKD_B=2") == true)
        #expect(substitute.lines.isEmpty)
    }

    @Test func whatTheJournalDoesNotTakeIsWrittenByTheSubstitute() {
        let substitute = Recorder()
        logger(substitute) { _ in false }.notice("something", metadata: ["a": "1"])
        #expect(substitute.lines == ["something a=1 b=2"])
    }

    @Test func aStreamIsToldByItsDeviceAndItsInode() throws {
        var ends: [CInt] = [-1, -1]
        try #require(clinux_pipe(&ends) == 0)
        defer { ends.forEach { close($0) } }
        var status = stat()
        try #require(fstat(ends[0], &status) == 0)
        let stream = "\(status.st_dev):\(status.st_ino)"
        #expect(JournalLogHandler.isJournal(ends[0], stream: stream))
        #expect(!JournalLogHandler.isJournal(ends[0], stream: "\(status.st_dev):\(status.st_ino + 1)"))
        #expect(!JournalLogHandler.isJournal(ends[0], stream: ""))
        #expect(!JournalLogHandler.isJournal(-1, stream: stream))
    }

    private func logger(_ substitute: Recorder, send: @escaping @Sendable (JournalEntry) -> Bool) -> Logger {
        Logger(label: "test") { _ in
            var handler = JournalLogHandler(substitute: RecordingHandler(recorder: substitute), send: send)
            handler[metadataKey: "b"] = "2"
            return handler
        }
    }
}

extension String {
    /// A number of two digits.
    fileprivate init(format2 number: Int) { self = number < 10 ? "0\(number)" : "\(number)" }
}

/// Lines that were written.
private final class Recorder: Sendable {
    private let state = Mutex<[String]>([])
    var lines: [String] { state.withLock { $0 } }
    func add(_ line: String) { state.withLock { $0.append(line) } }
}

private struct RecordingHandler: LogHandler {
    let recorder: Recorder
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    var logLevel: Logger.Level = .trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let pairs = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
        recorder.add(event.message.description + pairs.joined())
    }
}
