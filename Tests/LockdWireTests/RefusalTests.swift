import LockdModel
import LockdWire
import Testing

/// What is refused, with the exact answer, in the order of the table of errors in `docs/protocol.md`.
@Suite struct RefusalTests {
    private static let verbs =
        "HELLO|ACQUIRE|RELEASE|RENEW|CANCEL|SHOW|LIST|HISTORY|WATCH|UNWATCH|REVOKE|STATS|HISTOGRAMS|PING|QUIT"
    private static let options = "wait|max-queue|mode|limit|ttl|owner|note|progress|bind"
    private static let tags = "#[A-Za-z0-9._:-]{1,32}"
    private static let names = "visible-characters-but-#|percent-and-two-hexdigits"

    @Test(arguments: [
        ("", "ERROR empty-line want=VERB"),
        ("\r", "ERROR empty-line want=VERB"),
        ("#t", "#t ERROR empty-line want=VERB"),

        ("PING\t", "ERROR bad-character got=%09"),
        ("PING\u{0}", "ERROR bad-character got=%00"),
        ("PING\u{1F}", "ERROR bad-character got=%1F"),
        ("PING\u{7F}", "ERROR bad-character got=%7F"),
        ("PING\r\r", "ERROR bad-character got=%0D"),
        ("\rPING", "ERROR bad-character got=%0D"),
        ("#t PING\t", "#t ERROR bad-character got=%09"),
        ("#t\t PING", "ERROR bad-character got=%09"),

        (" ", "ERROR bad-spacing want=one-space"),
        (" PING", "ERROR bad-spacing want=one-space"),
        ("PING ", "ERROR bad-spacing want=one-space"),
        ("PING \r", "ERROR bad-spacing want=one-space"),
        ("RELEASE  a", "ERROR bad-spacing want=one-space"),
        ("#t ", "#t ERROR bad-spacing want=one-space"),
        ("#t  PING", "#t ERROR bad-spacing want=one-space"),
        (" #t PING", "ERROR bad-spacing want=one-space"),

        ("#", "ERROR bad-tag got=# want=\(tags)"),
        ("# PING", "ERROR bad-tag got=# want=\(tags)"),
        ("#a/b PING", "ERROR bad-tag got=#a/b want=\(tags)"),
        ("##a PING", "ERROR bad-tag got=##a want=\(tags)"),
        (
            "#0123456789abcdef0123456789abcdefX PING",
            "ERROR bad-tag got=#0123456789abcdef0123456789abcdefX want=\(tags)"
        ),
        ("CANCEL t", "ERROR bad-tag got=t want=\(tags)"),
        ("CANCEL #", "ERROR bad-tag got=# want=\(tags)"),
        ("CANCEL a=b", "ERROR bad-tag got=a=b want=\(tags)"),
        ("#t CANCEL #a%62", "#t ERROR bad-tag got=#a%2562 want=\(tags)"),

        ("LOCK a", "ERROR unknown-verb got=LOCK want=\(verbs)"),
        ("PINGS", "ERROR unknown-verb got=PINGS want=\(verbs)"),
        ("P\u{10}NG", "ERROR bad-character got=%10"),
        ("P\u{E9}", "ERROR unknown-verb got=P%C3%A9 want=\(verbs)"),
        ("* LOST a", "ERROR unknown-verb got=* want=\(verbs)"),
        ("#t PING=1", "#t ERROR unknown-verb got=PING=1 want=\(verbs)"),

        ("ACQUIRE", "ERROR missing-argument want=NAME"),
        ("RELEASE token=1", "ERROR missing-argument want=NAME"),
        ("RENEW", "ERROR missing-argument want=NAME"),
        ("SHOW", "ERROR missing-argument want=NAME"),
        ("REVOKE", "ERROR missing-argument want=NAME"),
        ("HISTORY", "ERROR missing-argument want=NAME"),
        ("HISTORY limit=1", "ERROR missing-argument want=NAME"),
        ("ACQUIRE job=1", "ERROR missing-argument want=NAME"),
        ("#t CANCEL", "#t ERROR missing-argument want=#TAG"),

        ("HELLO 1", "ERROR unexpected-argument got=1"),
        ("RELEASE a b", "ERROR unexpected-argument got=b"),
        ("HISTORY a b", "ERROR unexpected-argument got=b"),
        ("WATCH a b", "ERROR unexpected-argument got=b"),
        ("UNWATCH a", "ERROR unexpected-argument got=a"),
        ("ACQUIRE a wait=0 b", "ERROR unexpected-argument got=b"),
        ("LIST limit=1 a", "ERROR unexpected-argument got=a"),
        ("CANCEL #t #u", "ERROR unexpected-argument got=#u"),
        ("STATS all", "ERROR unexpected-argument got=all"),
        ("HISTOGRAMS a", "ERROR unexpected-argument got=a"),
        ("#t PING %", "#t ERROR unexpected-argument got=%25"),
        ("QUIT now", "ERROR unexpected-argument got=now"),

        ("HELLO version=1", "ERROR unknown-option key=version want=v|client|resume"),
        ("ACQUIRE a token=1", "ERROR unknown-option key=token want=\(options)"),
        ("RELEASE a ttl=1s", "ERROR unknown-option key=ttl want=token"),
        ("RENEW a wait=1s", "ERROR unknown-option key=wait want=token|ttl"),
        ("SHOW a note=x", "ERROR unknown-option key=note want=after|limit"),
        ("LIST prefix=a", "ERROR unknown-option key=prefix want=after|limit"),
        ("REVOKE a why=x", "ERROR unknown-option key=why want=token|reason"),
        ("ACQUIRE a =1", "ERROR unknown-option want=\(options)"),
        ("ACQUIRE a w%20=1", "ERROR unknown-option key=w%2520 want=\(options)"),
        ("CANCEL #t a=b", "ERROR unknown-option key=a"),
        ("PING a=b", "ERROR unknown-option key=a"),
        ("HISTORY a limit=1", "ERROR unknown-option key=limit"),
        ("WATCH limit=1", "ERROR unknown-option key=limit"),
        ("HISTOGRAMS of=wait", "ERROR unknown-option key=of want=after|limit"),
        ("UNWATCH a=b", "ERROR unknown-option key=a"),

        ("ACQUIRE a wait=0 wait=0", "ERROR repeated-option key=wait"),
        ("ACQUIRE a wait=0 wait=soon", "ERROR repeated-option key=wait"),
        ("#t RELEASE a token=1 token=1", "#t ERROR repeated-option key=token"),

        ("ACQUIRE #a", "ERROR bad-name got=#a want=\(names)"),
        ("ACQUIRE a#", "ERROR bad-name got=a# want=\(names)"),
        ("ACQUIRE %", "ERROR bad-name got=%25 want=\(names)"),
        ("ACQUIRE %4", "ERROR bad-name got=%254 want=\(names)"),
        ("ACQUIRE a%g0", "ERROR bad-name got=a%25g0 want=\(names)"),
        ("ACQUIRE a%0g", "ERROR bad-name got=a%250g want=\(names)"),
        ("ACQUIRE %%41", "ERROR bad-name got=%25%2541 want=\(names)"),
        ("LIST #a", "ERROR bad-name got=#a want=\(names)"),
        ("WATCH #a", "ERROR bad-name got=#a want=\(names)"),
        ("ACQUIRE a #b wait=0", "ERROR bad-name got=#b want=\(names)"),

        ("ACQUIRE a b a", "ERROR repeated-name got=a"),
        ("#t ACQUIRE a b %61 wait=0", "#t ERROR repeated-name got=%2561"),
        ("ACQUIRE a b c d e f g h i j k l m n o p q", "ERROR too-many-names limit=16"),
        ("ACQUIRE a b c d e f g h i j k l m n o p a", "ERROR repeated-name got=a"),
        ("ACQUIRE a b c d e f g h i j k l m n o p q a wait=soon", "ERROR too-many-names limit=16"),

        ("HELLO client=", "ERROR bad-text key=client want=1-to-64-bytes"),
        ("ACQUIRE a owner=", "ERROR bad-text key=owner want=1-to-64-bytes"),
        ("ACQUIRE a note=100%", "ERROR bad-text key=note got=100%25 want=percent-and-two-hexdigits"),
        ("REVOKE a reason=", "ERROR bad-text key=reason want=1-to-256-bytes"),

        ("ACQUIRE a wait=", "ERROR bad-duration key=wait want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=00", "ERROR bad-duration key=wait got=00 want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=10", "ERROR bad-duration key=wait got=10 want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=s", "ERROR bad-duration key=wait got=s want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=-1s", "ERROR bad-duration key=wait got=-1s want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=1.5s", "ERROR bad-duration key=wait got=1.5s want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=1w", "ERROR bad-duration key=wait got=1w want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=367d", "ERROR bad-duration key=wait got=367d want=0|1ms..366d|forever"),
        ("ACQUIRE a wait=31622400001ms", "ERROR bad-duration key=wait got=31622400001ms want=0|1ms..366d|forever"),
        (
            "ACQUIRE a wait=999999999999999d",
            "ERROR bad-duration key=wait got=999999999999999d want=0|1ms..366d|forever"
        ),
        (
            "ACQUIRE a wait=0000000000000001s",
            "ERROR bad-duration key=wait got=0000000000000001s want=0|1ms..366d|forever"
        ),
        ("ACQUIRE a ttl=0s", "ERROR bad-duration key=ttl got=0s want=1ms..366d"),
        ("ACQUIRE a ttl=0", "ERROR bad-duration key=ttl got=0 want=1ms..366d"),
        ("ACQUIRE a ttl=forever", "ERROR bad-duration key=ttl got=forever want=1ms..366d"),
        ("RENEW a ttl=367d", "ERROR bad-duration key=ttl got=367d want=1ms..366d"),

        ("ACQUIRE a progress=99ms", "ERROR bad-duration key=progress got=99ms want=100ms..366d"),
        ("ACQUIRE a progress=0", "ERROR bad-duration key=progress got=0 want=100ms..366d"),
        ("ACQUIRE a progress=", "ERROR bad-duration key=progress want=100ms..366d"),
        ("ACQUIRE a progress=367d", "ERROR bad-duration key=progress got=367d want=100ms..366d"),
        ("ACQUIRE a progress=1s progress=1s", "ERROR repeated-option key=progress"),

        ("ACQUIRE a bind=", "ERROR bad-binding want=pidfd|pipe"),
        ("ACQUIRE a bind=PIPE", "ERROR bad-binding got=PIPE want=pidfd|pipe"),
        ("ACQUIRE a bind=session", "ERROR bad-binding got=session want=pidfd|pipe"),
        ("ACQUIRE a bind=pipe bind=pidfd", "ERROR repeated-option key=bind"),

        (
            "HELLO resume=x", "ERROR bad-number key=resume got=x want=0..18446744073709551615"
        ),
        ("HELLO v=one", "ERROR bad-number key=v got=one want=1"),
        ("RELEASE a token=", "ERROR bad-number key=token want=0..18446744073709551615"),
        ("RELEASE a token=+1", "ERROR bad-number key=token got=+1 want=0..18446744073709551615"),
        (
            "RELEASE a token=18446744073709551616",
            "ERROR bad-number key=token got=18446744073709551616 want=0..18446744073709551615"
        ),
        (
            "RELEASE a token=99999999999999999999",
            "ERROR bad-number key=token got=99999999999999999999 want=0..18446744073709551615"
        ),
        (
            "RELEASE a token=000000000000000000001",
            "ERROR bad-number key=token got=000000000000000000001 want=0..18446744073709551615"
        ),
        ("SHOW a limit=0", "ERROR bad-number key=limit got=0 want=1..500"),
        ("LIST limit=501", "ERROR bad-number key=limit got=501 want=1..500"),

        ("LIST after=", "ERROR bad-cursor key=after want=what-END-said"),
        ("LIST after=1", "ERROR bad-cursor key=after got=1 want=what-END-said"),
        ("LIST after=.1", "ERROR bad-cursor key=after got=.1 want=what-END-said"),
        ("LIST after=1.", "ERROR bad-cursor key=after got=1. want=what-END-said"),
        ("LIST after=1.2.3", "ERROR bad-cursor key=after got=1.2.3 want=what-END-said"),

        ("HELLO v=2", "ERROR bad-version got=2 want=1"),
        ("#t HELLO v=0", "#t ERROR bad-version got=0 want=1"),
    ])
    func aLineThatIsNoRequestIsRefused(line: String, answer: String) {
        #expect(refusal(of: line) == answer)
    }

    @Test func aLineThatIsWrongAsAWholeIsRefusedBeforeItsWordsAreRead() {
        #expect(refusal(of: "LOCK  a\t") == "ERROR bad-character got=%09")
        #expect(refusal(of: "\t#/ LOCK  a\u{0}") == "ERROR bad-character got=%09")
        #expect(refusal(of: "#/ LOCK  a") == "ERROR bad-spacing want=one-space")
        #expect(refusal(of: "LOCK a ") == "ERROR bad-spacing want=one-space")
    }

    private static let requests = [
        "HELLO v=1 client=c/1", "ACQUIRE reports/nightly wait=10s ttl=90s owner=o note=n%20n", "RELEASE a token=7",
        "RENEW a token=7 ttl=1m", "CANCEL #t", "SHOW a after=1.2 limit=3", "LIST a after=1.2 limit=3", "LIST",
        "ACQUIRE a b bind=pipe progress=1s", "HISTORY a", "WATCH a", "UNWATCH", "REVOKE a token=7 reason=r", "STATS",
        "PING", "QUIT", "#t:1 ACQUIRE a", "#t:1 PING",
    ]

    @Test(arguments: requests)
    func aControlCharacterAnywhereIsRefused(line: String) {
        var wrong: [String?] = []
        for (byte, spelling) in [(0x00, "00"), (0x09, "09"), (0x0D, "0D"), (0x1F, "1F"), (0x7F, "7F")] as [(UInt8, _)] {
            for position in 0...line.utf8.count where byte != 0x0D || position < line.utf8.count {
                var bad = bytes(line)
                bad.insert(byte, at: position)
                let tag = line.hasPrefix("#") && position > 4 ? "#t:1 " : ""
                let answer = refusal(of: bad)
                if answer != "\(tag)ERROR bad-character got=%\(spelling)" { wrong.append(answer) }
            }
        }
        #expect(wrong == [])
    }

    @Test(arguments: requests)
    func aSpaceTooManyAnywhereIsRefused(line: String) {
        var wrong: [String?] = []
        let space = UInt8(ascii: " ")
        for position in 0...line.utf8.count {
            var bad = bytes(line)
            guard position == 0 || position == bad.count || bad[position] == space else { continue }
            bad.insert(space, at: position)
            let tag = line.hasPrefix("#") && position > 0 ? "#t:1 " : ""
            let answer = refusal(of: bad)
            if answer != "\(tag)ERROR bad-spacing want=one-space" { wrong.append(answer) }
        }
        #expect(wrong == [])
    }

    @Test func wordsAreReadFromLeftToRight() {
        #expect(refusal(of: "#/ LOCK") == "ERROR bad-tag got=#/ want=\(Self.tags)")
        #expect(refusal(of: "LOCK % x") == "ERROR unknown-verb got=LOCK want=\(Self.verbs)")
        #expect(refusal(of: "ACQUIRE % x y=1") == "ERROR bad-name got=%25 want=\(Self.names)")
        #expect(refusal(of: "ACQUIRE a x y=1") == "ERROR unknown-option key=y want=\(Self.options)")
        #expect(refusal(of: "ACQUIRE a x=1 y") == "ERROR unknown-option key=x want=\(Self.options)")
        #expect(refusal(of: "RELEASE a x y=1") == "ERROR unexpected-argument got=x")
        #expect(refusal(of: "ACQUIRE a y=1 x") == "ERROR unknown-option key=y want=\(Self.options)")
        #expect(refusal(of: "ACQUIRE a ttl=0s wait=x") == "ERROR bad-duration key=ttl got=0s want=1ms..366d")
        #expect(refusal(of: "ACQUIRE a wait=x ttl=0s") == "ERROR bad-duration key=wait got=x want=0|1ms..366d|forever")
        #expect(refusal(of: "HELLO v=2 client=") == "ERROR bad-version got=2 want=1")
        #expect(refusal(of: "HELLO client= v=2") == "ERROR bad-text key=client want=1-to-64-bytes")
    }

    @Test func aBadSpellingIsToldBeforeABadLength() {
        let long = String(repeating: "n", count: 300)
        #expect(refusal(of: "RELEASE \(long)%")?.hasPrefix("ERROR bad-name got=nnn") == true)
        #expect(refusal(of: "REVOKE a reason=\(long)%")?.hasPrefix("ERROR bad-text key=reason got=nnn") == true)
    }

    @Test func whatWasSentIsRepeatedUpTo64Bytes() {
        let long = String(repeating: "x", count: 70)
        let kept = String(repeating: "x", count: 64)
        #expect(refusal(of: "PING \(long)") == "ERROR unexpected-argument got=\(kept)")
        #expect(refusal(of: "PING \(long)=1") == "ERROR unknown-option key=\(kept)")
        let bytesKept = String(repeating: "%FF", count: 64)
        #expect(
            refusal(of: bytes("PING ") + [UInt8](repeating: 0xFF, count: 70))
                == "ERROR unexpected-argument got=\(bytesKept)"
        )
    }

    @Test(arguments: [
        ("#t ACQUIRE aaa", "#t ERROR line-too-long limit=8192"),
        ("ACQUIRE aaa", "ERROR line-too-long limit=8192"),
        ("#a/b ACQUIRE", "ERROR line-too-long limit=8192"),
        ("#t\u{0}", "ERROR line-too-long limit=8192"),
        (" #t", "ERROR line-too-long limit=8192"),
        ("aaa", "ERROR line-too-long limit=8192"),
        ("", "ERROR line-too-long limit=8192"),
    ])
    func aLineThatIsTooLongIsRefusedUnderItsTag(head: String, answer: String) {
        let refused = bytes(head).withUnsafeBytes {
            RequestDecoder.refusal(ofTooLong: $0, limit: ProtocolLimits.lineByteCount)
        }
        #expect(encode(refused.reply) == answer)
    }
}
