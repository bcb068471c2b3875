import LockdModel
import LockdWire
import Testing

/// What cannot be a reply.
@Suite struct MalformedReplyTests {
    @Test(arguments: [
        ("", "not words of visible ASCII with one space between them"),
        (" PONG", "not words of visible ASCII with one space between them"),
        ("PONG ", "not words of visible ASCII with one space between them"),
        ("NOTHELD  a", "not words of visible ASCII with one space between them"),
        ("PONG\r", "not words of visible ASCII with one space between them"),
        ("NOTHELD \u{E9}", "not words of visible ASCII with one space between them"),
        ("#t", "no verb"),
        ("# PONG", "bad tag"),
        ("#t/ PONG", "bad tag"),
        ("#t * LOST a token=1 reason=expired", "unknown reply"),
        ("pong", "unknown reply"),
        ("HTTP/1.1 400 Bad Request", "unknown reply"),
        ("GRANTED", "no name"),
        ("GRANTED a%", "bad name"),
        ("GRANTED token=7", "bad name"),
        ("GRANTED a", "no token"),
        ("GRANTED a token=", "bad token"),
        ("GRANTED a token=x", "bad token"),
        ("GRANTED a token=18446744073709551616", "bad token"),
        ("GRANTED a token=7 ttl=soon", "bad ttl"),
        ("BUSY a", "no waiters"),
        ("BUSY a waiters=9223372036854775808", "bad waiters"),
        ("BUSY a held=1ms holder-pid=2147483648 waiters=0", "bad holder-pid"),
        ("BUSY a held=1ms holder-uid=4294967296 waiters=0", "bad holder-uid"),
        ("BUSY a held=1ms holder-session=-1 waiters=0", "bad holder-session"),
        ("BUSY a held=1ms holder-command=% waiters=0", "bad holder-command"),
        ("TIMEOUT a waiters=0", "no waited"),
        ("TIMEOUT a waited=1 waiters=0", "bad waited"),
        ("CANCELLED", "no name"),
        ("CANCELLED #/", "bad tag"),
        ("NOTWAITING a", "bad tag"),
        ("NOTWAITING", "no tag"),
        ("END next=1", "bad next"),
        ("DENIED a token=7", "no uid"),
        ("STAT", "no statistic"),
        ("STAT sessions", "bad statistic"),
        ("ERROR", "no code"),
        ("ERROR bad-name got=%", "bad got"),
        ("WELCOME lockd=1 v=1 session=1 pid=1 features=list line=8192", "no name"),
        ("WELCOME lockd=1 v=1 session=1 pid=1 features=list line=8192 name=255 leases=1", "no waiters"),
        ("* LOST", "no reason"),
        ("* RESTORED leases=1 waiters=1", "no session"),
        ("* RESTORED session=1 waiters=1", "no leases"),
        ("* LOST a token=7", "no reason"),
        ("* LOST a reason=expired", "no token"),
        ("*LOST a token=7 reason=expired", "unknown reply"),
        ("GRANTED a a token=7", "bad names"),
        ("GRANTED a b c d e f g h i j k l m n o p q token=7", "bad names"),
        ("QUEUED a waiters=0", "no position"),
        ("QUEUED a position=1 on=% waiters=0", "bad on"),
        ("DEADLOCK a", "no edges"),
        ("EDGE a holder-pid=1", "no held"),
        ("EDGE a held=1ms", "no token"),
        ("HOLD a token=7 waited=1ms held=1ms ago=1ms", "no outcome"),
        ("HOLD a token=7 outcome=sold waited=1ms held=1ms ago=1ms", "bad outcome"),
        ("HOLD a token=7 outcome=ended waited=1ms held=1ms", "no ago"),
        ("WATCHING %", "bad name"),
        ("HISTOGRAM count=0 sum-us=0 buckets-us=inf:0", "no of"),
        ("HISTOGRAM of=waits count=0 sum-us=0 buckets-us=inf:0", "bad of"),
        ("HISTOGRAM of=wait sum-us=0 buckets-us=inf:0", "no count"),
        ("HISTOGRAM of=wait count=0 buckets-us=inf:0", "no sum-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0", "no buckets-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0 buckets-us=", "bad buckets-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0 buckets-us=100:0", "bad buckets-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0 buckets-us=100:0,100:0,inf:0", "bad buckets-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0 buckets-us=100,inf:0", "bad buckets-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0 buckets-us=x:0,inf:0", "bad buckets-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0 buckets-us=inf:x", "bad buckets-us"),
        ("HISTOGRAM of=wait count=0 sum-us=0 buckets-us=inf:0,inf:0", "bad buckets-us"),
        ("HISTOGRAM % of=wait count=0 sum-us=0 buckets-us=inf:0", "bad name"),
        ("* QUEUED a", "no position"),
        ("* UNQUEUED a waited=1ms", "no reason"),
        ("* UNQUEUED a waited=1ms reason=boredom", "bad reason"),
        ("* GRANTED a token=7", "no waited"),
        ("* RELEASED a token=7", "no held"),
        ("* ABANDONED a held=1ms", "no token"),
        ("* MISSED", "no count"),
    ])
    func aLineThatIsNoReplyIsToldApart(line: String, problem: String) {
        let error = #expect(throws: MalformedReply.self) { try decodeReply(line) }
        #expect(error?.problem == problem)
    }

    @Test func theLineIsShownPrintable() {
        let error = #expect(throws: MalformedReply.self) {
            try decodeReply([0x1B, 0x5B, 0x25, 0x20, 0x61, 0xFF, 0x0D])
        }
        #expect(error?.line == "%1B[%25 a%FF%0D")
        #expect(
            error?.description
                == "not a reply of the lockd protocol, version 1 "
                + "(not words of visible ASCII with one space between them): %1B[%25 a%FF%0D"
        )
    }

    @Test(arguments: [
        ("LEASE", "no name"), ("LEASE a", "no token"), ("LEASE a token=7 tokens=1", "no held"),
        ("LEASE a taken=x token=x", "bad token"), ("WAITER a position=1", "no waited"),
        ("LEASE a token=7 held=1ms weather=1", "no waiters"),
        ("LEASE a  token=7", "not words of visible ASCII with one space between them"),
        ("PONG", "unknown reply"),
    ])
    func lineOfListingIsRefusedAsAnyOther(line: String, problem: String) {
        let error = #expect(throws: MalformedReply.self) {
            try bytes(line).withUnsafeBytes { _ = try ReplyDecoder.listingLine($0) }
        }
        #expect(error?.problem == problem)
    }
}
