import LockdModel
import LockdWire
import Testing

/// Whatever one side says, the other understands as it was meant.
@Suite struct RoundTripTests {
    @Test(arguments: 0..<20 as Range<UInt64>)
    func everyRequestSurvivesTheWire(seed: UInt64) throws {
        var values = RandomValues(seed: seed)
        for _ in 0..<100 {
            let request = values.taggedRequest()
            let line = encode(request)
            guard try decodeRequest(line) == request, line.utf8.count <= ProtocolLimits.lineByteCount else {
                Issue.record("seed \(seed): \(line)")
                return
            }
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func everyReplySurvivesTheWire(seed: UInt64) throws {
        var values = RandomValues(seed: seed)
        for _ in 0..<100 {
            let reply = values.taggedReply()
            let line = encode(reply)
            guard try decodeReply(line) == reply, line.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
                Issue.record("seed \(seed): \(line)")
                return
            }
        }
    }

    @Test func aWaitForNoTimeIsATry() throws {
        let request = Request.acquire(.init(name: "a", wait: .after(0)))
        #expect(
            try decodeRequest(encode(TaggedRequest(request))) == TaggedRequest(.acquire(.init(name: "a", wait: .none)))
        )
    }

    @Test func theLongestRequestIsFarFromTheLimitOfALine() throws {
        let escaped: (Int) -> [UInt8] = { [UInt8](repeating: 0xFF, count: $0) }
        let request = AcquireTerms(
            name: try LockName(bytes: escaped(255)),
            wait: .after(.init(31_622_399_999)),
            timeToLive: 31_622_399_999,
            owner: try Text(bytes: escaped(64), limit: 64),
            note: try Text(bytes: escaped(256), limit: 256)
        )
        let line = encode(TaggedRequest(tag: "0123456789abcdef0123456789abcdef", .acquire(request)))
        #expect(line.utf8.count < 2000)
        #expect(try decodeRequest(line).request == .acquire(request))
    }
}
