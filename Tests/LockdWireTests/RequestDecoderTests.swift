import LockdModel
import LockdWire
import Testing

/// What lines mean, in the order of `docs/protocol.md`.
@Suite struct RequestDecoderTests {
    @Test(
        arguments: [
            ("HELLO", .hello(.init())),
            ("HELLO v=1", .hello(.init(version: 1))),
            ("HELLO resume=7", .hello(.init(resume: SessionID(7)))),
            ("HELLO v=01 client=lockd-python/1.0", .hello(.init(client: "lockd-python/1.0"))),
            ("ACQUIRE reports/nightly", .acquire(.init(name: "reports/nightly", wait: .never))),
            ("ACQUIRE a wait=forever", .acquire(.init(name: "a", wait: .never))),
            ("ACQUIRE a wait=0", .acquire(.init(name: "a", wait: .none))),
            ("ACQUIRE a wait=0ms", .acquire(.init(name: "a", wait: .none))),
            ("ACQUIRE a wait=0d", .acquire(.init(name: "a", wait: .none))),
            ("ACQUIRE a wait=250ms", .acquire(.init(name: "a", wait: .after(250)))),
            ("ACQUIRE a wait=10s", .acquire(.init(name: "a", wait: .after(10_000)))),
            ("ACQUIRE a wait=5m", .acquire(.init(name: "a", wait: .after(300_000)))),
            ("ACQUIRE a wait=2h", .acquire(.init(name: "a", wait: .after(7_200_000)))),
            ("ACQUIRE a wait=366d", .acquire(.init(name: "a", wait: .after(.maximum)))),
            ("ACQUIRE a wait=000000000000010s", .acquire(.init(name: "a", wait: .after(10_000)))),
            (
                "ACQUIRE a note=n%20n owner=#o=1 ttl=1ms wait=1s",
                .acquire(.init(name: "a", wait: .after(1000), timeToLive: 1, owner: "#o=1", note: "n n"))
            ),
            ("RELEASE a", .release("a", token: nil)),
            ("RELEASE a token=18446744073709551615", .release("a", token: 18_446_744_073_709_551_615)),
            ("RELEASE a token=0", .release("a", token: 0)),
            ("RENEW a", .renew("a", token: nil, timeToLive: nil)),
            ("RENEW a ttl=30s token=7", .renew("a", token: 7, timeToLive: 30_000)),
            ("CANCEL #t-1", .cancel("t-1")),
            ("SHOW a", .show("a", .init())),
            (
                "SHOW a limit=500 after=1.18446744073709551615",
                .show("a", .init(after: Cursor(lock: 1, line: .max), lineLimit: 500))
            ),
            ("LIST", .list(prefix: nil, .init())),
            ("LIST jobs/", .list(prefix: "jobs/", .init())),
            ("LIST limit=1", .list(prefix: nil, .init(lineLimit: 1))),
            (
                "LIST jobs/ after=3.4 limit=10",
                .list(prefix: "jobs/", .init(after: Cursor(lock: 3, line: 4), lineLimit: 10))
            ),
            ("ACQUIRE a b", .acquire(.init(names: "a b"))),
            ("ACQUIRE b a c wait=0 ttl=1s", .acquire(.init(names: "b a c", wait: .none, timeToLive: 1000))),
            (
                "ACQUIRE a b c d e f g h i j k l m n o p",
                .acquire(.init(names: "a b c d e f g h i j k l m n o p"))
            ),
            ("ACQUIRE a progress=100ms", .acquire(.init(name: "a", progress: 100))),
            ("ACQUIRE a progress=366d", .acquire(.init(name: "a", progress: .maximum))),
            ("ACQUIRE a bind=pidfd", .acquire(.init(name: "a", binding: .pidfd))),
            ("ACQUIRE a bind=pipe progress=1s", .acquire(.init(name: "a", progress: 1000, binding: .pipe))),
            (
                "ACQUIRE a bind=pipe progress=1s note=n owner=o ttl=1s limit=2 max-queue=3 wait=1s",
                .acquire(
                    .init(
                        name: "a",
                        wait: .after(1000),
                        queueLimit: 3,
                        holderLimit: HolderLimit(2),
                        timeToLive: 1000,
                        owner: "o",
                        note: "n",
                        progress: 1000,
                        binding: .pipe
                    )
                )
            ),
            ("HISTORY a", .history("a")),
            ("WATCH", .watch(prefix: nil)),
            ("WATCH jobs/", .watch(prefix: "jobs/")),
            ("UNWATCH", .unwatch),
            ("REVOKE a", .revoke("a", token: nil, reason: nil)),
            ("REVOKE a token=9 reason=stuck%21", .revoke("a", token: 9, reason: "stuck!")),
            ("STATS", .stats),
            ("HISTOGRAMS", .histograms(.init())),
            ("HISTOGRAMS after=1.2 limit=10", .histograms(.init(after: Cursor(lock: 1, line: 2), lineLimit: 10))),
            ("PING", .ping),
            ("QUIT", .quit),
        ] as [(String, Request)]
    )
    func aLineIsARequest(line: String, request: Request) throws {
        #expect(try decodeRequest(line) == TaggedRequest(request))
        #expect(try decodeRequest(line + "\r") == TaggedRequest(request))
        #expect(try decodeRequest("#t:1 " + line) == TaggedRequest(tag: "t:1", request))
    }

    @Test(arguments: [
        ("HELLO", ""), ("ACQUIRE", " a"), ("RELEASE", " a"), ("RENEW", " a"), ("CANCEL", " #t"), ("SHOW", " a"),
        ("LIST", ""), ("HISTORY", " a"), ("WATCH", " a"), ("UNWATCH", ""), ("REVOKE", " a"), ("STATS", ""),
        ("HISTOGRAMS", ""),
        ("PING", ""), ("QUIT", ""),
    ])
    func aVerbMayBeWrittenInEitherCase(verb: String, rest: String) throws {
        let mixed = String(verb.enumerated().map { $0 % 2 == 0 ? $1 : Character($1.lowercased()) })
        #expect(try decodeRequest(verb.lowercased() + rest) == decodeRequest(verb + rest))
        #expect(try decodeRequest(mixed + rest) == decodeRequest(verb + rest))
    }

    @Test func everythingButTheVerbIsComparedByteForByte() throws {
        #expect(try decodeRequest("ACQUIRE A") != decodeRequest("ACQUIRE a"))
        #expect(
            refusal(of: "ACQUIRE a WAIT=0")
                == "ERROR unknown-option key=WAIT want=wait|max-queue|mode|limit|ttl|owner|note|progress|bind"
        )
        #expect(
            refusal(of: "ACQUIRE a wait=FOREVER")
                == "ERROR bad-duration key=wait got=FOREVER want=0|1ms..366d|forever"
        )
        #expect(refusal(of: "ACQUIRE a wait=1S") == "ERROR bad-duration key=wait got=1S want=0|1ms..366d|forever")
    }

    @Test(arguments: ["#a", "#0", "#.", "#A_z-9:", "#0123456789abcdef0123456789ABCDEF"])
    func aTagIsUpTo32OfItsCharacters(word: String) throws {
        #expect(try decodeRequest(word + " PING").tag?.spelling == String(word.dropFirst()))
    }
}

/// Names and texts are bytes.
@Suite struct SpelledBytesTests {
    @Test func theTwoSpellingsOfAnAccentAreTwoNames() throws {
        let composed = try decodeRequest("ACQUIRE \u{E9}")
        let decomposed = try decodeRequest("ACQUIRE e\u{301}")
        #expect(composed != decomposed)
        #expect(encode(composed) == "ACQUIRE %C3%A9")
        #expect(encode(decomposed) == "ACQUIRE e%CC%81")
    }

    @Test func anEscapedByteIsTheByte() throws {
        #expect(try decodeRequest("ACQUIRE %61") == decodeRequest("ACQUIRE a"))
        #expect(try decodeRequest("ACQUIRE a%2fb") == decodeRequest("ACQUIRE a/b"))
        #expect(try decodeRequest("ACQUIRE a owner=%6F") == decodeRequest("ACQUIRE a owner=o"))
    }

    @Test func hexadecimalDigitsMayBeWrittenInEitherCase() throws {
        #expect(try decodeRequest("ACQUIRE %c3%a9") == decodeRequest("ACQUIRE %C3%A9"))
        #expect(try decodeRequest("ACQUIRE %c3%A9") == decodeRequest("ACQUIRE \u{E9}"))
    }

    @Test func bytesThatAreNotUnicodeAreANameToo() throws {
        let request = try decodeRequest(bytes("ACQUIRE ") + [0xFF, 0x80, 0xC3])
        #expect(encode(request) == "ACQUIRE %FF%80%C3")
    }

    @Test func everyByteCanBeInAName() throws {
        for byte in UInt8.min...UInt8.max {
            let digits = String(byte, radix: 16)
            let request = try decodeRequest("RELEASE %" + (digits.count < 2 ? "0" : "") + digits)
            #expect(request == TaggedRequest(.release(try LockName(bytes: [byte]), token: nil)))
            #expect(try decodeRequest(encode(request)) == request)
        }
    }

    @Test func aNameHasUpTo255BytesHoweverItIsSpelled() throws {
        let longest = String(repeating: "n", count: 255)
        #expect(try decodeRequest("RELEASE " + longest) == TaggedRequest(.release(try LockName(longest), token: nil)))
        let escaped = String(repeating: "%6E", count: 255)
        #expect(try decodeRequest("RELEASE " + escaped) == decodeRequest("RELEASE " + longest))
        #expect(refusal(of: "RELEASE n" + longest) == "ERROR name-too-long limit=255")
        #expect(refusal(of: "RELEASE n" + escaped) == "ERROR name-too-long limit=255")
    }

    @Test(arguments: [("owner", 64), ("note", 256)])
    func aTextHasItsLimitHoweverItIsSpelled(key: String, limit: Int) throws {
        let longest = String(repeating: "t", count: limit)
        let escaped = String(repeating: "%74", count: limit)
        #expect(
            try decodeRequest("ACQUIRE a \(key)=\(longest)") == decodeRequest("ACQUIRE a \(key)=\(escaped)")
        )
        #expect(refusal(of: "ACQUIRE a \(key)=t\(longest)") == "ERROR text-too-long key=\(key) limit=\(limit)")
        #expect(refusal(of: "ACQUIRE a \(key)=t\(escaped)") == "ERROR text-too-long key=\(key) limit=\(limit)")
    }
}
