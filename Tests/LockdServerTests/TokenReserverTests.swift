import Dispatch
import Foundation
import LockdModel
import Logging
import Testing

@testable import LockdServer

@Suite struct TokenReserverTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test func nothingIsReservedUnasked() throws {
        let (reserver, _) = try reserver()
        #expect(reserver.takeReservation() == nil)
    }

    @Test func eachReservationIsTheNextBlockAndIsInTheFile() throws {
        let (reserver, last) = try reserver()
        var reserved = last
        for size in [16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576, 1_048_576, 1_048_576] as [UInt64] {
            reserved += size
            #expect(reserver.waitForReservation().value == reserved)
            #expect(try inFile() == reserved)
        }
    }

    @Test func reservationIsTakenOnce() throws {
        let (reserver, last) = try reserver()
        reserver.beginReservation()
        reserver.beginReservation()
        #expect(reserver.waitForReservation().value == last + 16_384)
        #expect(reserver.takeReservation() == nil)
    }

    @Test func failingDiskIsTriedAgain() throws {
        let failures = FailureLog()
        let (reserver, last) = try reserver(failures)
        // Instead of the file there is a directory, which cannot be opened for writing.
        let path = directory.path + "/tokens"
        try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        reserver.beginReservation()
        #expect(failures.awaitOne() == "cannot reserve fencing tokens")
        #expect(reserver.takeReservation() == nil)

        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        #expect(reserver.waitForReservation().value == last + 16_384)
        #expect(try inFile() == last + 16_384)
    }

    @Test func fileThatWasWipedMeanwhileDoesNotBringTokensBack() throws {
        let (reserver, last) = try reserver()
        try FileManager.default.removeItem(atPath: directory.path + "/tokens")
        #expect(reserver.waitForReservation().value == last + 16_384)
    }

    private func reserver(_ failures: FailureLog = FailureLog()) throws -> (TokenReserver, last: UInt64) {
        let file = TokenFile(directory: directory.path)
        let last = try file.reserve(8192, atLeast: 1_000_000).upperBound
        let logger = Logger(label: "test", factory: { _ in failures })
        return (TokenReserver(file: file, reservedThrough: FencingToken(last), logger: logger), last)
    }

    private func inFile() throws -> UInt64? {
        let text = try String(contentsOfFile: directory.path + "/tokens", encoding: .utf8)
        return text.split(separator: " ").dropFirst(2).first.flatMap { UInt64($0) }
    }
}

/// Takes messages, one at a time.
private struct FailureLog: LogHandler {
    private final class Messages: @unchecked Sendable {
        let arrived = DispatchSemaphore(value: 0)
        let lock = NSLock()
        var texts: [String] = []
    }

    private let messages = Messages()
    var logLevel = Logger.Level.trace
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        messages.lock.withLock { messages.texts.append("\(event.message)") }
        messages.arrived.signal()
    }

    func awaitOne() -> String {
        messages.arrived.wait()
        return messages.lock.withLock { messages.texts.removeFirst() }
    }
}
