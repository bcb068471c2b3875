import LockdClient
import LockdModel
import LockdWire

/// The leases and waits of a listing, in the order of the daemon: each lock's leases, then its waiters.
struct Listing {
    private(set) var lines: [Reply.ListingLine] = []

    /// Asks for all pages of what `request` makes of a page.
    init(from connection: BlockingConnection, _ request: (Request.Page) -> Request) throws {
        try Self.read(from: connection, request) { lines.append($0) }
    }

    /// The same for whoever does not keep the lines: hands each to `body`, those of one page while the daemon makes the next.
    static func read(
        from connection: BlockingConnection,
        _ request: (Request.Page) -> Request,
        _ body: (Reply.ListingLine) throws -> Void
    ) throws {
        connection.send(request(Request.Page()))
        var page = try Page(from: connection)
        while let next = page.next {
            connection.send(request(Request.Page(after: next)))
            try page.forEachLine(body)
            page = try Page(from: connection)
        }
        try page.forEachLine(body)
    }

    /// One page, its lines as they came.
    ///
    /// They are not decoded before the next page has been asked for, so that the daemon and this program are at work at the same time.
    private struct Page {
        /// Where the next page begins, if there is one.
        private(set) var next: Cursor?
        private var bytes: [UInt8] = []
        /// Where each line ends.
        private var ends: [Int] = []

        init(from connection: BlockingConnection) throws {
            let end = try connection.receive { line in
                if !ReplyDecoder.isOfListing(line) { return try ReplyDecoder.decode(line)?.reply }
                bytes.append(contentsOf: line)
                ends.append(bytes.count)
                return nil
            }
            switch end {
            case .end(let cursor): next = cursor
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }

        func forEachLine(_ body: (Reply.ListingLine) throws -> Void) throws {
            try bytes.withUnsafeBytes { bytes in
                var start = 0
                for end in ends {
                    let line = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
                    start = end
                    try body(ReplyDecoder.listingLine(line))
                }
            }
        }
    }
}
