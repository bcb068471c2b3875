import CLinux
import Foundation
import LockdCore
import LockdModel

@testable import LockdServer

/// A log in a directory of its own, written by hand.
final class WrittenLog {
    static let origin = LogOrigin(boot: 1, bootRest: 2, pidNamespace: 3)

    let log: WriteAheadLog
    let path: String
    private let directory: TemporaryDirectory

    init(capacity: Int = 1 << 14) throws {
        directory = try TemporaryDirectory()
        path = directory.path + "/log"
        let sizes = WriteAheadLog.Sizes(leastCapacity: capacity, largestCapacity: 1 << 24, reserve: 1024)
        log = try WriteAheadLog(path: path, origin: Self.origin, capacity: capacity, sizes: sizes)
        try log.publish()
    }

    func commit() { log.commit(nextToken: FencingToken(1000), lastSession: SessionID(1000)) }

    /// The file as it is now.
    func bytes() throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

    /// What the next daemon finds.
    func contents() throws -> LogContents { try Self.contents(bytes()) ?? LogContents() }

    /// What is found in these bytes; nothing if they are of another boot.
    static func contents(_ bytes: [UInt8], origin: LogOrigin = WrittenLog.origin) throws -> LogContents? {
        try bytes.withUnsafeBytes { memory in
            guard case .contents(let contents) = try LogReader.read(memory, path: "log", origin: origin) else {
                return nil
            }
            return contents
        }
    }

    func appendInput(_ text: String, of slot: Int) { with(text) { log.appendInput($0, isDiscarding: false, of: slot) } }
    func appendInputAdded(_ text: String, of slot: Int) { with(text) { log.appendInputAdded($0, of: slot) } }
    func appendReply(_ text: String, of slot: Int) -> Bool { with(text) { log.appendReply($0, of: slot) } }
    func appendBacklog(_ text: String, skipping count: Int, of slot: Int) -> Bool {
        with(text) { log.appendBacklog($0, skipping: count, of: slot) }
    }
    func appendBacklogAdded(_ text: String, of slot: Int) -> Bool {
        with(text) { log.appendBacklogAdded($0, of: slot) }
    }
    func appendFarewell(_ text: String, of session: SessionID, in slot: Int) -> Bool {
        with(text) { log.appendFarewell($0, of: session, in: slot) }
    }

    private func with<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        Array(text.utf8).withUnsafeBytes(body)
    }
}

extension LogRecord.Session {
    /// A session of which nothing else is known.
    init(_ id: UInt64, endedAt: MonotonicInstant? = nil) {
        self.init(
            table: SessionRecord(
                id: SessionID(id),
                peer: Peer(process: ProcessID(Int32(id)), user: UserID(0)),
                endedAt: endedAt
            ),
            process: .unknown,
            client: nil
        )
    }
}

extension ClaimRecord {
    /// A lease of a session that has this token.
    init(_ name: String, of session: UInt64, token: UInt64) throws {
        self.init(
            id: RequestID(SessionID(session), tag: nil),
            session: SessionID(session),
            names: LockNames(try LockName(name)),
            arrival: token,
            arrivedAt: MonotonicInstant(nanoseconds: 1),
            token: FencingToken(token),
            since: MonotonicInstant(nanoseconds: 1)
        )
    }
}
