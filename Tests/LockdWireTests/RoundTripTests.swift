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

    @Test(arguments: 0..<20 as Range<UInt64>)
    func linesOfListingsSayTheSameWhereManyAreRead(seed: UInt64) throws {
        var values = RandomValues(seed: seed)
        for _ in 0..<1000 {
            let reply = values.taggedReply().reply
            let line = bytes(encode(TaggedReply(reply)))
            switch reply {
            case .lease(let expected):
                let decoded = try line.withUnsafeBytes(ReplyDecoder.listingLine)
                guard case .lease(expected) = decoded, line.withUnsafeBytes(ReplyDecoder.isOfListing) else {
                    Issue.record("seed \(seed): \(line)")
                    return
                }
            case .waiter(let expected):
                let decoded = try line.withUnsafeBytes(ReplyDecoder.listingLine)
                guard case .waiter(expected) = decoded, line.withUnsafeBytes(ReplyDecoder.isOfListing) else {
                    Issue.record("seed \(seed): \(line)")
                    return
                }
            default: #expect(!line.withUnsafeBytes(ReplyDecoder.isOfListing), "seed \(seed): \(line)")
            }
        }
    }

    @Test func aWaitForNoTimeIsATry() throws {
        let request = Request.acquire(.init(name: "a", wait: .after(0)))
        #expect(
            try decodeRequest(encode(TaggedRequest(request))) == TaggedRequest(.acquire(.init(name: "a", wait: .none)))
        )
    }
}
