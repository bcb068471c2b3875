import ArgumentParser
import Glibc
import LockdModel

/// One HTTP request on stdin, which is a socket as a rule, and its answer on stdout.
///
/// No more of HTTP/1.1 than whoever fetches metrics says: GET and HEAD of `/metrics`, one request a connection.
struct Scrape {
    /// Makes the metrics in the format that was asked for.
    let metrics: (Exposition.Format) throws -> String

    /// The most bytes of a request, up to the empty line: what web servers take as a rule.
    private static let headLimit = 8192
    /// How long the request may take to come; so a connection that says nothing goes away.
    private static let patience = Milliseconds.seconds(10)

    init(_ metrics: @escaping (Exposition.Format) throws -> String) { self.metrics = metrics }

    /// What is answered.
    struct Response {
        var status: String
        var contentType = "text/plain; charset=utf-8"
        var more: [String] = []
        var body: String

        init(_ status: String, _ body: String) {
            self.status = status
            self.body = body
        }
    }

    /// Reads the request and answers it.
    ///
    /// - Throws: what kept the metrics from being made, after the client was told so.
    func answer() throws {
        guard let head = try Self.readHead() else { return }
        var problem: (any Error)?
        let (response, hasBody) = respond(to: head, &problem)
        try write(Array(Self.spell(response, hasBody: hasBody).utf8), to: STDOUT_FILENO)
        Self.close()
        if let problem { throw problem }
    }

    /// The answer to a request, and whether its body is sent.
    func respond(to head: String, _ problem: inout (any Error)?) -> (response: Response, hasBody: Bool) {
        // One scalar after the other: CR and LF together would be one character.
        let lines = head.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            String(line.last == "\r" ? line.dropLast() : line)
        }
        let words = (lines.first ?? "").split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty, words[2].hasPrefix("HTTP/1."),
            let target = Self.path(of: words[1])
        else {
            return (Response("400 Bad Request", "this is not a request of HTTP/1.1\n"), true)
        }
        let hasBody = words[0] != "HEAD"
        guard words[0] == "GET" || words[0] == "HEAD" else {
            var response = Response("405 Method Not Allowed", "GET or HEAD\n")
            response.more = ["Allow: GET, HEAD"]
            return (response, hasBody)
        }
        guard target.prefix(while: { $0 != "?" }) == "/metrics" else {
            return (Response("404 Not Found", "the metrics are at /metrics\n"), hasBody)
        }
        do {
            let format = Self.format(acceptedBy: lines.dropFirst())
            var response = Response("200 OK", try metrics(format))
            response.contentType = format.contentType
            return (response, hasBody)
        } catch {
            problem = error
            return (Response("503 Service Unavailable", "\(error)\n"), hasBody)
        }
    }

    /// The path of a target, which may have `http://` and a host before it, as RFC 9112 (3.2.2) has it.
    private static func path(of target: Substring) -> Substring? {
        if target.hasPrefix("/") { return target }
        guard target.lowercased().hasPrefix("http://") else { return nil }
        let rest = target.dropFirst("http://".count)
        return rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
    }

    /// OpenMetrics for those who say that they read it, as Prometheus does; the older format for everybody else.
    private static func format(acceptedBy headers: some Sequence<String>) -> Exposition.Format {
        let accepted = headers.contains { line in
            let line = line.lowercased()
            return line.hasPrefix("accept:") && line.contains("application/openmetrics-text")
        }
        return accepted ? .openmetrics : .text
    }

    static func spell(_ response: Response, hasBody: Bool) -> String {
        let head =
            ["HTTP/1.1 \(response.status)", "Content-Type: \(response.contentType)"]
            + ["Content-Length: \(response.body.utf8.count)", "Connection: close"] + response.more
        return head.joined(separator: "\r\n") + "\r\n\r\n" + (hasBody ? response.body : "")
    }

    /// What comes up to the first empty line, or nothing at all if that is too long or is not all there in time.
    ///
    /// `nil` if nobody asks anything.
    private static func readHead() throws -> String? {
        var bytes: [UInt8] = []
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(patience.count)
        while bytes.count < headLimit, !isComplete(bytes) {
            let left = (deadline - clock.now) / .milliseconds(1)
            guard left > 0, let more = receive(within: CInt(left.rounded(.up))) else { break }
            bytes += more
        }
        if bytes.isEmpty { return nil }
        // What is not all there is no request, however much it looks like one.
        return isComplete(bytes) ? String(decoding: bytes, as: UTF8.self) : ""
    }

    private static func isComplete(_ head: [UInt8]) -> Bool {
        let text = head.filter { $0 != UInt8(ascii: "\r") }
        return zip(text, text.dropFirst()).contains { $0 == UInt8(ascii: "\n") && $1 == UInt8(ascii: "\n") }
    }

    /// What has come within so many milliseconds; `nil` if nothing has, or nothing more will.
    private static func receive(within milliseconds: CInt) -> [UInt8]? {
        var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard poll(&input, 1, milliseconds) > 0 else { return nil }
        var buffer = [UInt8](repeating: 0, count: headLimit)
        let count = read(STDIN_FILENO, &buffer, buffer.count)
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    /// Ends the connection once the client has read what it was told.
    ///
    /// To end it while something lies unread that it has sent would reset it, and take from the client what it has not read.
    private static func close() {
        guard shutdown(STDOUT_FILENO, CInt(SHUT_WR)) == 0 else { return }
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(1)
        while clock.now < deadline, receive(within: 1000) != nil {}
    }
}
