import LockdModel
import LockdWire
import Testing

/// What a bare request says, in words that can be compared.
private struct Bare: Equatable {
    var tag: LockdModel.Tag?
    var verb: BareRequest.Verb
    var name: String

    init(_ tag: LockdModel.Tag?, _ verb: BareRequest.Verb, _ name: String) {
        self.tag = tag
        self.verb = verb
        self.name = name
    }

    init?(_ line: String) {
        let bare = Array(line.utf8).withUnsafeBytes { bytes in
            BareRequest(bytes).map { Bare($0.tag, $0.verb, String(decoding: $0.name.bytes, as: UTF8.self)) }
        }
        guard let bare else { return nil }
        self = bare
    }
}

@Suite struct BareRequestTests {
    @Test func verbAndNameAreOneWithOrWithoutATag() {
        #expect(Bare("ACQUIRE db") == Bare(nil, .acquire, "db"))
        #expect(Bare("RELEASE db") == Bare(nil, .release, "db"))
        #expect(Bare("#1 ACQUIRE reports/nightly") == Bare("1", .acquire, "reports/nightly"))
        #expect(Bare("#a.b_c-d:E RELEASE x") == Bare("a.b_c-d:E", .release, "x"))
    }

    @Test(arguments: [
        "", " ", "#", "#1", "#1 ", "ACQUIRE", "ACQUIRE ", "#1 ACQUIRE", "#1 ACQUIRE ", "#1  ACQUIRE db", "ACQUIRE  db",
        "ACQUIRE db ",
        "ACQUIRE db a", "RELEASE db a", "ACQUIRE db wait=0", "ACQUIRE db bind=pipe", "WATCH db",
        "RELEASE db token=1", "acquire db", "Acquire db", "RENEW db", "ACQUIRED db",
        "ACQUIRE a#b", "ACQUIRE a=b", "ACQUIRE %41", "ACQUIRE db\r", "ACQUIRE \u{e4}", "ACQUIRE a\tb", "#! ACQUIRE db",
        "# ACQUIRE db", "#123456789012345678901234567890123 ACQUIRE db", " ACQUIRE db", "PING",
    ])
    func everythingElseIsNone(_ line: String) {
        #expect(Bare(line) == nil)
    }

    @Test func nameOf255BytesIsTheLongest() {
        let longest = String(repeating: "n", count: 255)
        #expect(Bare("ACQUIRE " + longest)?.name == longest)
        #expect(Bare("ACQUIRE n" + longest) == nil)
    }

    /// Of every request that is one it says what the decoder says, and it finds all that could be one.
    @Test(arguments: 0..<20) func bareRequestSaysWhatTheDecoderSays(seed: UInt64) throws {
        var values = RandomValues(seed: seed)
        var count = 0
        for _ in 0..<2000 {
            let request = values.taggedRequest()
            let line = encode(request)
            let bare = Bare(line)
            switch request.request {
            case .acquire(let terms)
            where terms == AcquireTerms(name: terms.names.first) && !terms.names.first.spelling.contains("%"):
                #expect(bare == Bare(request.tag, .acquire, terms.names.first.spelling), "\(line)")
            case .release(let name, token: nil) where !name.spelling.contains("%"):
                #expect(bare == Bare(request.tag, .release, name.spelling), "\(line)")
            default:
                #expect(bare == nil, "\(line)")
            }
            count += bare == nil ? 0 : 1
        }
        #expect(count > 10)
    }

    @Test(arguments: ["ACQUIRE db", "#1 ACQUIRE db", "RELEASE reports/nightly", "#t:1 RELEASE db"])
    func answerIsTheLineThatTheReplyHas(_ line: String) throws {
        let request = try decodeRequest(line)
        let token = FencingToken(1_763_900_000_123_456)
        var answer: [UInt8] = []
        let isBare = Array(line.utf8).withUnsafeBytes { bytes in
            guard let bare = BareRequest(bytes) else { return false }
            ReplyEncoder.encode(answerTo: bare, token, to: &answer)
            return true
        }
        #expect(isBare)
        let reply: Reply =
            switch request.request {
            case .acquire(let terms): .granted(terms.names, token: token, timeToLive: nil, after: .unremarkable)
            case .release(let name, _): .released(LockNames(name), token: token)
            default: .pong
            }
        #expect(String(decoding: answer, as: UTF8.self) == encode(TaggedReply(tag: request.tag, reply)) + "\n")
    }
}
