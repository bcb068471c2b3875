import CLinux
import Glibc
import LockdCore
import LockdModel

/// Reads what a daemon has left.
struct LogReader {
    /// What was found.
    enum Result {
        /// No log, or one of an earlier boot.
        case nothing
        case contents(LogContents)
    }

    /// A log that cannot be gone on with, and that must not be lost.
    struct Newer: Error, CustomStringConvertible {
        let path: String
        let version: UInt64

        var description: String {
            """
            \(path) was written by a newer lockd (format \(version); this one reads \(LogLayout.version)) and is left as it is; \
            start that one again, or, to forget all leases, remove the file
            """
        }
    }

    /// No daemon counts so far, and what is larger would leave no room to go on from.
    private static let largestNumber: UInt64 = 1 << 61

    private let bytes: UnsafeRawBufferPointer
    private let ring: UnsafeRawBufferPointer
    private var contents = LogContents()
    private var claims: [Int: ClaimRecord] = [:]
    private var bounds: [Int: LogRecord.Bound] = [:]
    private var sessions: [Int: LogRecord.Session] = [:]
    private var inputs: [Int: LogContents.Input] = [:]
    private var backlogs: [Int: LogContents.Output] = [:]
    private var replies: [Int: [UInt8]] = [:]
    private var torn: Set<Int> = []
    private var farewells: [Int: (session: SessionID, bytes: [UInt8])] = [:]
    /// What was read of a commit of which not all was read.
    private var pending: [(header: LogRing.Header, position: UInt64, payload: UnsafeRawBufferPointer)] = []

    /// Reads the log at `path`.
    ///
    /// A damaged one is read as far as it is not.
    ///
    /// - Throws: ``Newer``; ``SystemError`` if there is a file and it cannot be read.
    static func read(_ path: String, origin: LogOrigin) throws -> Result {
        try withBytes(of: path) { try read($0, path: path, origin: origin) } ?? .nothing
    }

    static func read(_ bytes: UnsafeRawBufferPointer, path: String, origin: LogOrigin) throws -> Result {
        var damaged = LogContents()
        guard bytes.count >= LogLayout.ringStart, number(LogLayout.Fixed.magic, bytes) == LogLayout.magic else {
            damaged.damage = "it does not begin as a log does"
            return .contents(damaged)
        }
        let version = number(LogLayout.Fixed.version, bytes)
        guard version <= LogLayout.version else { throw Newer(path: path, version: version) }
        let fixed = UnsafeRawBufferPointer(rebasing: bytes[..<LogLayout.Fixed.checksum])
        guard LogChecksum.of(fixed, at: 0) == number(LogLayout.Fixed.checksum, bytes) else {
            damaged.damage = "its header is damaged"
            return .contents(damaged)
        }
        let boot = (number(LogLayout.Fixed.boot, bytes), number(LogLayout.Fixed.boot + 8, bytes))
        guard boot == (origin.boot, origin.bootRest) else { return .nothing }
        guard let capacity = Int(exactly: number(LogLayout.Fixed.capacity, bytes)), capacity > 0, capacity % 16 == 0,
            capacity <= bytes.count - LogLayout.ringStart
        else {
            damaged.damage = "it is shorter than its header says"
            return .contents(damaged)
        }
        var reader = LogReader(bytes, capacity: capacity)
        reader.contents.isForeign = number(LogLayout.Fixed.pidNamespace, bytes) != origin.pidNamespace
        reader.readAll()
        return .contents(reader.contents)
    }

    private init(_ bytes: UnsafeRawBufferPointer, capacity: Int) {
        self.bytes = bytes
        ring = UnsafeRawBufferPointer(rebasing: bytes[LogLayout.ringStart..<LogLayout.ringStart + capacity])
    }

    // MARK: The whole

    private mutating func readAll() {
        let (head, tail) = (field(.head), field(.tail))
        if tail < head || tail - head > UInt64(ring.count) || head % 8 != 0 || tail > Self.largestNumber {
            contents.damage = "its header says that it is from \(head) to \(tail) of \(ring.count) bytes"
        } else if max(field(.nextToken), field(.lastSession)) > Self.largestNumber {
            contents.damage = "its header says token \(field(.nextToken)) and session \(field(.lastSession))"
            readRecords(from: head, to: tail)
        } else {
            contents.lastSession = SessionID(field(.lastSession))
            readRecords(from: head, to: tail)
        }
        for (slot, session) in sessions { take(session, in: slot) }
        contents.claims = Array(claims.values)
        contents.bounds = Array(bounds.values)
        contents.farewells = Dictionary(farewells.values.map { ($0.session, $0.bytes) }) { $1 }
        if field(.aliveAt) != 0 {
            contents.aliveAt = MonotonicInstant(nanoseconds: Int64(bitPattern: field(.aliveAt)))
        }
        if contents.damage == nil {
            contents.nextToken = field(.nextToken) == 0 ? nil : FencingToken(field(.nextToken))
            readReceived(tail)
        }
    }

    private mutating func take(_ session: LogRecord.Session, in slot: Int) {
        contents.sessions.append(session)
        let id = session.table.id
        if let input = inputs[slot], input != LogContents.Input() { contents.inputs[id] = input }
        var output = backlogs[slot] ?? LogContents.Output()
        output.lines += replies[slot] ?? []
        if !output.lines.isEmpty { contents.outputs[id] = output }
        if torn.contains(slot) { contents.torn.insert(id) }
    }

    private mutating func readRecords(from head: UInt64, to tail: UInt64) {
        var next = head
        while next < tail {
            guard let (header, position) = LogRing.header(at: next, in: ring), position < tail,
                let (payload, isLast) = LogRing.check(header, at: position, in: ring)
            else {
                contents.damage = "the record at \(next) of \(head) to \(tail) is damaged"
                return
            }
            pending.append((header, position, payload))
            next = position + UInt64(LogRing.rounded(header.byteCount))
            guard isLast else { continue }
            for record in pending {
                do {
                    try apply(record.header, record.position, record.payload)
                } catch {
                    contents.damage = "the record at \(record.position) does not say what a record of its kind does"
                    return
                }
            }
            pending.removeAll(keepingCapacity: true)
        }
        if !pending.isEmpty || next != tail { contents.damage = "its last commit is not complete" }
    }

    /// Bytes that were received, and nothing that came of them was committed.
    private mutating func readReceived(_ tail: UInt64) {
        guard field(.receivedAfter) == tail else { return }
        let area = UnsafeRawBufferPointer(rebasing: bytes[LogLayout.receiveStart..<LogLayout.ringStart])
        var start = 0
        while start <= area.count - LogLayout.Chunk.headerByteCount {
            let session = SessionID(Self.number(start + LogLayout.Chunk.session, area))
            let count = Self.number(start + LogLayout.Chunk.byteCount, area)
            let rest = UnsafeRawBufferPointer(rebasing: area[(start + LogLayout.Chunk.headerByteCount)...])
            guard session.value != 0, count <= UInt64(rest.count) else { return }
            // Of the last one it may not have been noted how many they are: it is all up to the zeros that were there before.
            let end = count > 0 ? Int(count) : rest.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
            if end > 0 { contents.received.append((session, Array(rest[..<end]))) }
            if count == 0 { return }
            start += LogRing.rounded(LogLayout.Chunk.headerByteCount + end)
        }
    }

    // MARK: One record

    private mutating func apply(
        _ header: LogRing.Header,
        _ position: UInt64,
        _ payload: UnsafeRawBufferPointer
    ) throws(LogParser.Problem) {
        var parser = LogParser(payload)
        let slot = header.slot
        switch header.kind {
        case .skip: break
        case .claim: claims[slot] = try ClaimRecord(&parser)
        case .claimGone: claims[slot] = nil
        case .session:
            sessions[slot] = try LogRecord.Session(&parser)
        case .sessionGone:
            sessions[slot] = nil
            forgetQueues(of: slot)
        case .bound: bounds[slot] = try LogRecord.Bound(&parser)
        case .boundGone: bounds[slot] = nil
        case .farewell:
            let session = SessionID(try parser.number())
            farewells[slot] = (session, Array(parser.remainder()))
        case .farewellGone: farewells[slot] = nil
        case .anew: forgetEverything()
        case .replies: if !wasWritten(position) { try applyReplies(&parser) }
        case .torn: torn.insert(slot)
        case .input, .inputAdded, .inputTaken: try applyInput(header, &parser)
        case .backlog:
            let skipped = Int(try parser.number(UInt32.self))
            backlogs[slot] = LogContents.Output(lines: Array(parser.remainder()), skipping: skipped)
            guard skipped <= backlogs[slot]?.lines.count ?? 0 else { throw LogParser.Problem() }
            // It says all that was not written by then.
            replies[slot] = nil
            torn.remove(slot)
        // What it was added to may be recorded again behind this, and no longer in front of it.
        case .backlogAdded: backlogs[slot]?.lines += payload
        case .backlogGone: backlogs[slot] = nil
        }
    }

    private mutating func applyReplies(_ parser: inout LogParser) throws(LogParser.Problem) {
        while !parser.isAtEnd {
            let (slot, count) = (Int(try parser.number(UInt32.self)), Int(try parser.number(UInt32.self)))
            replies[slot, default: []] += try parser.bytes(count)
            // The next part begins at a multiple of eight bytes.
            _ = try parser.bytes(LogRing.rounded(count) - count)
        }
    }

    private mutating func applyInput(
        _ header: LogRing.Header,
        _ parser: inout LogParser
    ) throws(LogParser.Problem) {
        let slot = header.slot
        switch header.kind {
        case .inputAdded: inputs[slot]?.bytes += parser.remainder()
        case .inputTaken:
            let count = try parser.number(UInt64.self)
            guard let input = inputs[slot] else { return }
            guard count <= UInt64(input.bytes.count) else { throw LogParser.Problem() }
            // More may be added to it, even if nothing is left.
            inputs[slot] = LogContents.Input(bytes: Array(input.bytes.dropFirst(Int(count))))
        default:
            let isDiscarding = try parser.number(UInt8.self) != 0
            inputs[slot] = LogContents.Input(bytes: Array(parser.remainder()), isDiscarding: isDiscarding)
        }
    }

    private mutating func forgetEverything() {
        (claims, bounds, sessions) = ([:], [:], [:])
        (inputs, backlogs, replies, farewells) = ([:], [:], [:], [:])
        torn = []
    }

    private mutating func forgetQueues(of slot: Int) {
        (inputs[slot], backlogs[slot], replies[slot]) = (nil, nil, nil)
        torn.remove(slot)
    }

    private func wasWritten(_ position: UInt64) -> Bool { position < field(.written) }

    private func field(_ field: LogLayout.Field) -> UInt64 { Self.number(field.rawValue, bytes) }

    private static func number(_ offset: Int, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    // MARK: The file

    /// Calls `body` with all bytes of the file; nothing if there is none.
    ///
    /// They are not copied: most of a large log does not count any more, and a daemon that starts again should not look at it.
    private static func withBytes<Value>(
        of path: String,
        _ body: (UnsafeRawBufferPointer) throws -> Value
    ) throws -> Value? {
        let descriptor = clinux_open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0)
        guard descriptor != -1 else {
            if errno == ENOENT { return nil }
            throw SystemError("open \(path)")
        }
        defer { close(descriptor) }
        var status = stat()
        _ = try check("stat \(path)") { fstat(descriptor, &status) }
        let size = Int(clamping: status.st_size)
        let isPlausible = 1...LogLayout.ringStart + WriteAheadLog.Sizes().largestCapacity ~= size
        guard status.st_mode & S_IFMT == S_IFREG, isPlausible else {
            return try body(UnsafeRawBufferPointer(start: nil, count: 0))
        }
        guard let start = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
            throw SystemError("map \(path)")
        }
        defer { munmap(start, size) }
        return try body(UnsafeRawBufferPointer(start: start, count: size))
    }
}
