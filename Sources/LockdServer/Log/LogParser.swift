import LockdModel

/// Takes values out of a record, one behind the other.
///
/// The record is undamaged, so what does not fit in it was written by a daemon that differs from this one; that is an error, never a trap.
struct LogParser {
    /// The record does not say what its kind should say.
    struct Problem: Error {}

    private var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    mutating func bytes(_ count: Int) throws(Problem) -> UnsafeRawBufferPointer {
        guard count <= rest.count else { throw Problem() }
        defer { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }
        return UnsafeRawBufferPointer(rebasing: rest[..<count])
    }

    var isAtEnd: Bool { rest.isEmpty }

    /// Everything that is left.
    mutating func remainder() -> UnsafeRawBufferPointer {
        defer { rest = UnsafeRawBufferPointer(start: nil, count: 0) }
        return rest
    }

    mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type = Number.self) throws(Problem)
        -> Number
    {
        try bytes(MemoryLayout<Number>.size).loadUnaligned(as: Number.self)
    }

    mutating func text() throws(Problem) -> Text? {
        let spelling = try bytes(Int(number(UInt16.self)))
        if spelling.isEmpty { return nil }
        guard let text = try? Text(parsing: spelling, limit: Text.longLimit) else { throw Problem() }
        return text
    }

    mutating func tag() throws(Problem) -> Tag? {
        let characters = try bytes(Int(number(UInt8.self)))
        if characters.isEmpty { return nil }
        guard let tag = Tag(parsing: characters) else { throw Problem() }
        return tag
    }

    mutating func peer() throws(Problem) -> Peer {
        Peer(process: ProcessID(try number()), user: UserID(try number()), command: try text(), unit: try text())
    }

    mutating func file() throws(Problem) -> FileIdentity {
        let device = try number(UInt64.self)
        return FileIdentity(device: device, number: try number())
    }

    mutating func process() throws(Problem) -> ProcessIdentity {
        let pidfd = try file()
        return ProcessIdentity(pidfd: pidfd, startTime: try number())
    }

    mutating func name() throws(Problem) -> LockName {
        guard let name = try? LockName(parsing: bytes(Int(number(UInt16.self)))) else { throw Problem() }
        return name
    }

    mutating func names() throws(Problem) -> LockNames {
        let count = try number(UInt8.self)
        guard count > 0 else { throw Problem() }
        let first = try name()
        if count == 1 { return LockNames(first) }
        var others: [LockName] = []
        for _ in 1..<count { others.append(try name()) }
        guard let names = LockNames(first, others) else { throw Problem() }
        return names
    }

    mutating func milliseconds() throws(Problem) -> Milliseconds {
        let count = try number(Int64.self)
        guard count >= 0, count <= Milliseconds.maximum.count else { throw Problem() }
        return Milliseconds(count)
    }
}
