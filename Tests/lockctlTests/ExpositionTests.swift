import LockdModel
import LockdWire
import Testing

@testable import lockctl

/// What monitoring systems are told; that they can read it, other tests show with their own parsers.
@Suite struct ExpositionTests {
    @Test(arguments: [
        (100, "0.0001"), (500, "0.0005"), (1000, "0.001"), (500_000, "0.5"), (1_000_000, "1.0"), (10_000_000, "10.0"),
        (1_234_567, "1.234567"), (21_600_000_000, "21600.0"), (0, "0.0"), (nil, "+Inf"),
    ])
    func boundIsASpelledNumberOfSeconds(microseconds: UInt64?, spelling: String) {
        #expect(Exposition.bound(microseconds) == spelling)
    }

    @Test func bucketsAreCountedUpFromTheFirst() throws {
        var exposition = Exposition()
        exposition.histograms = [
            .init(
                name: try LockName("a"),
                subject: .wait,
                count: 6,
                sum: 1_500_000,
                buckets: [.init(bound: 100, count: 1), .init(bound: 500, count: 2), .init(bound: nil, count: 3)]
            )
        ]
        #expect(
            exposition.text(in: .text).split(separator: "\n").dropFirst(2) == [
                "lockd_lock_wait_seconds_bucket{name=\"a\",le=\"0.0001\"} 1",
                "lockd_lock_wait_seconds_bucket{name=\"a\",le=\"0.0005\"} 3",
                "lockd_lock_wait_seconds_bucket{name=\"a\",le=\"+Inf\"} 6",
                "lockd_lock_wait_seconds_sum{name=\"a\"} 1.500000",
                "lockd_lock_wait_seconds_count{name=\"a\"} 6",
            ]
        )
    }

    @Test(arguments: [
        ("reports/nightly", "reports/nightly"), ("a\"b\\c", "a\\\"b\\\\c"), ("é", "é"), ("a\nb%", "a%0Ab%25"),
        // With an accent on it, a quote is another character, and yet a quote.
        ("\"\u{301}", "\\\"\u{301}"),
    ])
    func nameCannotBreakOutOfItsLabel(name: String, label: String) throws {
        var exposition = Exposition()
        let buckets = [Reply.HistogramLine.Bucket(bound: nil, count: 0)]
        exposition.histograms = [.init(name: try LockName(name), subject: .hold, count: 0, sum: 0, buckets: buckets)]
        #expect(exposition.text(in: .openmetrics).contains("_count{name=\"\(label)\"} 0\n"))
    }

    @Test func whatTheDaemonHasNotSaidIsLeftOut() {
        #expect(Exposition().text(in: .openmetrics) == "# EOF\n")
        #expect(Exposition().text(in: .text) == "")
    }
}

/// The answers to those who fetch metrics over HTTP.
@Suite struct ScrapeTests {
    private let scrape = Scrape { "\($0)" }

    private func answer(_ head: String) -> (status: String, body: String, hasBody: Bool) {
        var problem: (any Error)?
        let (response, hasBody) = scrape.respond(to: head, &problem)
        return (response.status, response.body, hasBody)
    }

    @Test(arguments: [
        ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "text"), ("GET /metrics?a=b HTTP/1.0\n\n", "text"),
        (
            "GET /metrics HTTP/1.1\r\nACCEPT: text/plain;q=0.5, application/openmetrics-text;version=1.0.0\r\n\r\n",
            "openmetrics"
        ),
        ("GET /metrics HTTP/1.1\r\nX-Accept: application/openmetrics-text\r\n\r\n", "text"),
    ])
    func metricsAreGivenInTheFormatThatIsAskedFor(head: String, format: String) {
        #expect(answer(head) == ("200 OK", format, true))
    }

    @Test func headIsAnsweredWithoutTheBody() throws {
        var problem: (any Error)?
        let (response, hasBody) = scrape.respond(to: "HEAD /metrics HTTP/1.1\r\n\r\n", &problem)
        #expect(!hasBody)
        #expect(
            Scrape.spell(response, hasBody: hasBody)
                == "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 4\r\n"
                + "Connection: close\r\n\r\n"
        )
    }

    @Test(arguments: [
        ("", "400 Bad Request"), ("GET /metrics\r\n\r\n", "400 Bad Request"),
        ("GET  HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("\u{16}\u{3}\u{1}\n\n", "400 Bad Request"), ("GET /metrics HTTP/2\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"), ("GET /metricsx HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
    ])
    func everythingElseIsRefused(head: String, status: String) {
        #expect(answer(head).status == status)
    }

    @Test func failureIsToldToTheClient() {
        var problem: (any Error)?
        let failing = Scrape { _ in throw Refused(WireError(.unknownVerb)) }
        let (response, _) = failing.respond(to: "GET /metrics HTTP/1.1\r\n\r\n", &problem)
        #expect(response.status == "503 Service Unavailable")
        #expect(problem is Refused)
    }
}
