import Glibc
import LockdCore
import LockdModel
import LockdWire

@testable import LockdServer

/// A client of a ``RestartFuzz``: what it has sent, and what it was told.
final class FuzzClient {
    private(set) var session: Session
    /// What it has sent and nobody has received.
    var unread: [UInt8] = []
    /// What was written to it since the beginning of a line.
    private(set) var written: [UInt8] = []
    /// How much of that had been, when that was recorded last.
    private(set) var notedCount = 0
    /// It has no connection.
    private(set) var isAway = false
    /// It is over.
    var isLeft = false
    private var checkedCount = 0

    init(_ session: Session) { self.session = session }

    /// Takes some of what it is told.
    func write(atMost limit: Int, wholeLines: Bool) {
        session.output.drain { bytes in
            var count = min(limit, bytes.count)
            if wholeLines { count = bytes[..<count].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0 }
            written += bytes[..<count]
            return count
        }
    }

    /// The daemon has recorded what was written.
    func noteWritten() { notedCount = written.count }

    /// Another daemon goes on: so many bytes of what was said are not to be said again.
    func goOn(as session: Session, said: [UInt8], count: Int) {
        self.session = session
        // What it has seen of the line that is begun is what counts from here on.
        let start = said[..<count].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        written = Array(said[start..<count])
        (notedCount, checkedCount) = (written.count, 0)
    }

    /// Its connection has gone.
    func leave() {
        isAway = true
        unread = []
        (written, notedCount, checkedCount) = ([], 0, 0)
    }

    /// It has another connection.
    func beginStream() {
        isAway = false
        (written, notedCount, checkedCount) = ([], 0, 0)
    }

    /// Says what is wrong with the lines that it was told.
    func checkLines() throws {
        while let end = written[checkedCount...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = Array(written[checkedCount..<end])
            checkedCount = end + 1
            do {
                _ = try line.withUnsafeBytes { try ReplyDecoder.decode($0) }
            } catch {
                throw RestartFuzz.Problem(description: "session \(session.id) is told \(text(line)): \(error)")
            }
        }
    }

    /// Says what is wrong with what it is told first by another daemon.
    func checkIsRestored() throws {
        let lines = session.output.withUnsentBytes { Array($0) }
        var rest = lines[...]
        if session.output.skippedByteCount > 0, let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            rest = rest[(end + 1)...]
        }
        guard rest.starts(with: "* RESTORED session=\(session.id) ".utf8) else {
            throw RestartFuzz.Problem(
                description: "session \(session.id) is not told first that it is restored: \(text(rest))"
            )
        }
    }
}

/// Binds leases to nothing, or refuses to.
final class FuzzBinder: Binder {
    private var count: UInt64 = 0
    /// What the next daemon would find, each time a line was in the middle of being taken.
    private var stamps: [LogStamp] = []
    private let path: String

    init(path: String) { self.path = path }

    func takeStamps() -> [LogStamp] {
        defer { stamps = [] }
        return stamps
    }

    func bind(_ binding: Binding, for session: Session, as id: SessionID) throws(WireError) -> BoundTarget {
        count += 1
        stamps.append(LogStamp(of: path))
        if count % 4 == 0 { throw WireError(.tooManyDescriptors, limit: 1, scope: .daemon) }
        return BoundTarget(
            binding: binding,
            peer: session.peer,
            user: session.peer.user,
            process: .unknown,
            pipe: FileIdentity(device: 1, number: count)
        )
    }

    func unbind(_ id: SessionID) {}
}

/// Which commit a log ends with.
struct LogStamp: Equatable {
    private let file: FileIdentity
    private let tail: [UInt8]

    init(of path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        file = FileIdentity(of: descriptor)
        var bytes = [UInt8](repeating: 0, count: 8)
        _ = pread(descriptor, &bytes, bytes.count, off_t(LogLayout.Field.tail.rawValue))
        tail = bytes
    }
}
