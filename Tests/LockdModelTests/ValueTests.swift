import LockdModel
import Testing

@Suite struct TagTests {
    private func tag(_ characters: String) -> LockdModel.Tag? {
        Array(characters.utf8).withUnsafeBytes(LockdModel.Tag.init(parsing:))
    }

    @Test func aTagKeepsItsCharacters() {
        #expect(tag("aZ09._-:")?.spelling == "aZ09._-:")
        #expect(tag("aZ09._-:")?.description == "aZ09._-:")
        #expect(tag("a") != tag("A"))
    }

    @Test func everyOtherCharacterIsNotATags() {
        let characters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:".utf8)
        for byte in UInt8.min...UInt8.max {
            #expect(
                ([byte].withUnsafeBytes(LockdModel.Tag.init(parsing:)) != nil) == characters.contains(byte),
                "\(byte)"
            )
        }
    }

    @Test func aTagHas1To32Characters() {
        #expect(tag("") == nil)
        #expect(tag(String(repeating: "t", count: 32)) != nil)
        #expect(tag(String(repeating: "t", count: 33)) == nil)
    }

    @Test func aNumberIsATag() {
        #expect(LockdModel.Tag(UInt64.max) == tag("18446744073709551615"))
    }
}

@Suite struct MillisecondsTests {
    @Test(
        arguments: [
            (0, "0ms"), (1, "1ms"), (999, "999ms"), (1000, "1s"), (1500, "1500ms"), (59_000, "59s"), (60_000, "1m"),
            (90_000, "90s"), (120_000, "2m"), (3_600_000, "1h"), (5_400_000, "90m"), (86_400_000, "1d"),
            (90_000_000, "25h"), (604_800_000, "7d"), (31_622_400_000, "366d"), (31_622_400_001, "31622400001ms"),
        ] as [(Int64, String)]
    )
    func aTimeIsSpelledInTheLargestUnitThatIsExact(count: Int64, spelling: String) {
        #expect(Milliseconds(count).description == spelling)
    }

    @Test func secondsAreAThousandMilliseconds() {
        #expect(Milliseconds.seconds(3) == Milliseconds(3000))
        #expect(Milliseconds.seconds(366 * 24 * 60 * 60) == .maximum)
        #expect(Milliseconds(1) < Milliseconds(2))
    }
}

@Suite struct MonotonicInstantTests {
    private let instant = MonotonicInstant(nanoseconds: 5_000_000_000)

    @Test func aLengthLaterIsSoManyNanosecondsLater() {
        #expect(instant + Milliseconds(3) == MonotonicInstant(nanoseconds: 5_003_000_000))
        #expect(instant < instant + Milliseconds(1))
    }

    @Test func theTimeBetweenIsRoundedDown() {
        #expect(MonotonicInstant(nanoseconds: 5_001_999_999) - instant == Milliseconds(1))
        #expect(MonotonicInstant(nanoseconds: 5_000_999_999) - instant == Milliseconds(0))
    }

    @Test func nothingIsBeforeNow() {
        #expect(MonotonicInstant(nanoseconds: 1) - instant == Milliseconds(0))
    }

    @Test func anInstantIsDescribedInNanoseconds() {
        #expect(instant.description == "5000000000ns")
    }
}

@Suite struct IdentifierTests {
    @Test func tokensAndSessionsAreOrderedByTheirNumbers() {
        #expect(FencingToken(9) < FencingToken(10))
        #expect(SessionID(9) < SessionID(10))
    }

    @Test func identifiersAreKeysOfSetsByTheirNumbers() {
        #expect(Set((0..<1000).map { FencingToken($0 / 2) }).count == 500)
        #expect(Set((0..<1000).map { SessionID($0 / 2) }).count == 500)
    }

    @Test func neighbouringNumbersAreMixedApart() {
        let buckets = Set((0..<256 as Range<UInt64>).map { $0.mixed(with: 0) & 0xFF })
        #expect(buckets.count > 128, "256 neighbours share \(buckets.count) of 256 buckets")
        #expect(UInt64(7).mixed(with: 1) != UInt64(7).mixed(with: 2))
        #expect(UInt64(7).mixed(with: 1) == UInt64(7).mixed(with: 1))
    }

    @Test func identifiersAreDescribedInDecimal() {
        #expect(FencingToken(.max).description == "18446744073709551615")
        #expect(SessionID(3).description == "3")
        #expect(UserID.overflow.description == "65534")
        #expect(UserID.root == UserID(0))
        #expect(ProcessID(4121).description == "4121")
        #expect(Cursor(lock: 3, line: 4).description == "3.4")
    }
}

@Suite struct LimitsTests {
    /// The numbers of `docs/protocol.md`, *Limits*.
    @Test func theDefaultsAreWhatTheProtocolStates() {
        let limits = Limits()
        #expect(limits.sessions == 8192)
        #expect(limits.reservedSessions == 8)
        #expect(limits.leases == 100_000)
        #expect(limits.leasesPerSession == 10_000)
        #expect(limits.waiters == 100_000)
        #expect(limits.waitersPerSession == 1000)
        #expect(limits.endingsPerTurn == 1000)
        #expect(limits.locksPerPage == 4096)
        #expect(ProtocolLimits.lineByteCount == 8192)
        #expect(ProtocolLimits.pageLineCount == 500)
        #expect(LockName.maximumByteCount == 255)
        #expect(LockdModel.Tag.maximumByteCount == 32)
        #expect(Text.shortLimit == 64)
        #expect(Text.longLimit == 256)
    }
}
