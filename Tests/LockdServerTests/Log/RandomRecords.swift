import LockdCore
import LockdModel

@testable import LockdServer

/// Numbers that a seed decides (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }
}

/// Records of all kinds, with values anywhere in their ranges; with `isLongest`, everything is there and as long as it can be.
struct RandomRecords {
    var random: SeededNumbers
    var isLongest = false

    mutating func claim() -> ClaimRecord {
        let (asker, names) = (session(), names())
        return ClaimRecord(
            id: RequestID(asker, tag: tag()),
            session: session(),
            names: names,
            holderLimit: [.exclusive, .shared, HolderLimit(3)][random.below(3)],
            owner: text(Text.shortLimit),
            holdsUpOwner: random.chance(50),
            note: text(Text.longLimit),
            arrival: random.next(),
            arrivedAt: instant(),
            token: isThere() ? FencingToken(random.next()) : nil,
            since: instant(),
            timeToLive: isThere() ? milliseconds() : nil,
            deadline: isThere() ? instant() : nil,
            progress: isThere() ? milliseconds() : nil,
            boundHolder: isThere() ? BoundHolder(session: session(), peer: peer()) : nil
        )
    }

    mutating func loggedSession() -> LogRecord.Session {
        let (endedAt, detachedAt) = [(instant(), nil), (nil, instant()), (nil, nil)][random.below(3)]
        return LogRecord.Session(
            table: SessionRecord(
                id: session(),
                peer: peer(),
                endedAt: endedAt,
                isBound: random.chance(50),
                detachedAt: detachedAt,
                resumedThrough: random.next(),
                payer: isThere() ? UserID(UInt32(truncatingIfNeeded: random.next())) : nil
            ),
            process: process(),
            client: text(Text.shortLimit),
            hasSpoken: random.chance(50),
            isResumable: random.chance(50),
            watch: isThere() ? .some(isThere() ? name() : nil) : nil,
            missedCount: random.next()
        )
    }

    mutating func bound() -> LogRecord.Bound {
        let target = BoundTarget(
            binding: random.chance(50) ? .pidfd : .pipe,
            peer: peer(),
            user: UserID(UInt32(truncatingIfNeeded: random.next())),
            process: process(),
            pipe: file()
        )
        return LogRecord.Bound(session: session(), lease: BoundLease(target: target, asker: session()))
    }

    private mutating func isThere() -> Bool { isLongest || random.chance(50) }
    private mutating func session() -> SessionID { SessionID(random.next()) }
    private mutating func instant() -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(bitPattern: random.next()))
    }
    private mutating func milliseconds() -> Milliseconds {
        Milliseconds(Int64(random.below(Int(Milliseconds.maximum.count) + 1)))
    }

    /// Bytes that need three characters each, if it is to be long.
    private mutating func content(_ limit: Int) -> [UInt8] {
        isLongest
            ? (0..<limit).map { _ in UInt8(128 + random.below(128)) } : random.bytes(1 + random.below(limit))
    }

    private mutating func text(_ limit: Int) -> Text? {
        isThere() ? try? Text(bytes: content(limit), limit: limit) : nil
    }

    private mutating func name() -> LockName {
        (try? LockName(bytes: content(LockName.maximumByteCount))) ?? .placeholder
    }

    private mutating func names() -> LockNames {
        let count = isLongest ? LockNames.maximumCount : 1 + random.below(LockNames.maximumCount)
        let all = (0..<count).map { _ in name() }
        return LockNames(all[0], Array(all.dropFirst())) ?? LockNames(all[0])
    }

    private mutating func tag() -> Tag? {
        guard isThere() else { return nil }
        let count = isLongest ? Tag.maximumByteCount : 1 + random.below(Tag.maximumByteCount)
        let characters = (0..<count).map { _ in UInt8(ascii: "a") + UInt8(random.below(26)) }
        return characters.withUnsafeBytes { Tag(parsing: $0) }
    }

    private mutating func peer() -> Peer {
        Peer(
            process: ProcessID(Int32(truncatingIfNeeded: random.next())),
            user: UserID(UInt32(truncatingIfNeeded: random.next())),
            command: text(Text.shortLimit),
            unit: text(Text.longLimit)
        )
    }

    private mutating func file() -> FileIdentity { FileIdentity(device: random.next(), number: random.next()) }

    private mutating func process() -> ProcessIdentity { ProcessIdentity(pidfd: file(), startTime: random.next()) }
}
