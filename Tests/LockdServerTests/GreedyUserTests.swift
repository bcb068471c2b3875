import LockdCore
import LockdModel
import Testing

@testable import LockdServer

/// A user that takes all that it can get and reads nothing, and one that does not notice.
@Suite struct GreedyUserTests {
    private static let limits = {
        var limits = Limits()
        (limits.leasesPerUser, limits.waitersPerUser, limits.bytesPerUser) = (50, 40, 200_000)
        return limits
    }()

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func modestUserDoesNotNotice(seed: UInt64) throws {
        let fixture = ServiceFixture(limits: Self.limits)
        var random = SmallRandom(state: seed)
        let greedy = (0..<40).map { _ in fixture.open(user: 1000) }
        let (one, other) = (fixture.open(user: 1001), fixture.open(user: 1001))
        var mostBuffered = 0
        for step in 0..<2000 {
            let session = greedy[random.next(below: greedy.count)]
            if session.wantsInput { fixture.send(Self.line(&random), from: session) }
            fixture.takeTurn()
            mostBuffered = max(mostBuffered, greedy.reduce(0) { $0 + $1.bufferedByteCount })
            // What a modest user does: acquires, waits, is granted, releases.
            fixture.send("ACQUIRE modest", from: one)
            fixture.send("ACQUIRE modest", from: other)
            fixture.send("RELEASE modest", from: one)
            #expect(fixture.takeTurn(reading: [one]).hasPrefix("GRANTED modest "), "SEED=\(seed), step \(step)")
            fixture.send("RELEASE modest", from: other)
            let lines = fixture.takeTurn(reading: [other]).split(separator: "\n").map { $0.split(separator: " ")[0] }
            #expect(lines == ["GRANTED", "RELEASED"], "SEED=\(seed), step \(step)")
            fixture.checkInvariants()
        }
        #expect(fixture.bytesLeft(for: 1000) <= 0)
        // One page, and one read, beyond what may be, for each of those that had nothing to read.
        #expect(mostBuffered < Self.limits.bytesPerUser + greedy.count * 12_000)
        for session in greedy + [one, other] {
            fixture.end(session)
            fixture.takeTurn(reading: [session])
            fixture.close(session)
        }
        fixture.advance(.seconds(1))
        fixture.takeTurn()
        fixture.checkInvariants()
        #expect(fixture.userCount == 0)
    }

    private static func line(_ random: inout SmallRandom) -> String {
        let (tag, name) = (random.next(below: 30), random.next(below: 60))
        return switch random.next(below: 5) {
        case 0: "#\(tag) ACQUIRE \(name) note=\(String(repeating: "n", count: 200))"
        case 1: "#\(tag) ACQUIRE \(name) mode=shared wait=forever"
        case 2: "#\(tag) ACQUIRE \(name) \(name + 1) \(name + 2)"
        case 3: "SHOW \(name)"
        default: "LIST"
        }
    }
}

/// Numbers that look random and are the same for the same seed.
private struct SmallRandom {
    var state: UInt64

    mutating func next(below bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }
}
