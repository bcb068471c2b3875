import CUnix
package import LockdModel
package import LockdWire

/// A connection whose caller's own thread writes the request and reads the reply: for command-line tools.
///
/// Requests are untagged, so replies come in order. Not thread-safe. Of a process that forks, only the one that made the connection may use it;
/// it is closed on exec.
package final class BlockingConnection {
    /// The socket, for whoever waits for several things at once.
    ///
    /// Only this object reads it and writes to it.
    package let descriptor: CInt

    private var framer = LineFramer(limit: replyLineLimit)
    /// A page of a listing has about as many bytes.
    private var buffer = [UInt8](repeating: 0, count: 64 * 1024)

    /// The longest line that a daemon of this version sends has sixteen names, a note and a unit, all escaped, and less than 16 KiB; the rest is room for
    /// later versions.
    private static let replyLineLimit = 64 * 1024

    /// Why the connection is of no use any more.
    package enum Failure: Error, CustomStringConvertible {
        /// The daemon has closed it.
        case closed
        /// It accepts connections, and does not answer in time.
        case silent
        /// The system refused to read or write.
        case system(CInt)
        /// What came is not of this protocol.
        case malformed(MalformedReply)

        /// What happened.
        package var description: String {
            switch self {
            case .closed: "lockd has closed the connection"
            case .silent: "what listens at lockd's socket accepts connections and does not answer"
            case .system(let number): "the connection to lockd is broken: \(System.message(of: number))"
            case .malformed(let reply): "\(reply)"
            }
        }
    }

    /// Connects to the daemon at `path`.
    ///
    /// Blocks while the daemon's backlog is full; with `patience`, so long at the most, and so long for each answer.
    ///
    /// - Throws: ``ConnectFailure``.
    package init(path: String, patience: Milliseconds? = nil) throws {
        descriptor = try ConnectFailure.check(path, cunix_stream_socket(false))
        do {
            if let patience {
                _ = try ConnectFailure.check(path, cunix_limit_sending(descriptor, max(1, patience.count)))
                _ = try ConnectFailure.check(path, cunix_limit_receiving(descriptor, max(1, patience.count)))
            }
            let result = System.retryingOnInterrupt { Int(cunix_connect(descriptor, path, path.utf8.count)) }
            _ = try ConnectFailure.check(path, CInt(result))
        } catch {
            System.close(descriptor)
            throw error
        }
    }

    deinit {
        System.close(descriptor)
    }

    /// Sends a request, and along with its first byte a copy of `attachment`, if there is one.
    ///
    /// A broken connection is not reported here: what the daemon said before it closed can still be read.
    package func send(_ request: Request, with attachment: CInt? = nil) {
        var line: [UInt8] = []
        RequestEncoder.encode(TaggedRequest(request), to: &line)
        var rest = line[...]
        var attachments = attachment.map { [$0] } ?? []
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { System.send($0, along: attachments, to: descriptor, waits: true) }
            if count == -1 { return }
            attachments = []
            rest = rest.dropFirst(count)
        }
    }

    /// The next line from the daemon, events included.
    ///
    /// Blocks until it is there.
    ///
    /// - Throws: ``Failure``.
    package func receive() throws -> Reply { try receive(Self.decoded) }

    /// The first reply that `read` makes of a line, for whoever does not want all lines decoded at once.
    ///
    /// Blocks until it is there. The bytes are `read`'s during the call only, and it must not use the connection.
    ///
    /// - Throws: ``Failure``, and whatever `read` throws.
    package func receive(_ read: (UnsafeRawBufferPointer) throws -> Reply?) throws -> Reply {
        while true {
            if let reply = try nextBuffered(read) { return reply }
            let count = buffer.withUnsafeMutableBytes { System.receive(into: $0, from: descriptor, waits: true) }
            if count == 0 { throw Failure.closed }
            if count == -1 {
                let error = System.errorNumber
                switch error {
                case System.ErrorNumber.connectionReset: throw Failure.closed
                case System.ErrorNumber.tryAgain: throw Failure.silent
                default: throw Failure.system(error)
                }
            }
            buffer[..<count].withUnsafeBytes { framer.append($0) }
        }
    }

    /// The next line that has been read already.
    ///
    /// Does not block.
    package func nextBuffered() throws -> Reply? { try nextBuffered(Self.decoded) }

    private func nextBuffered(_ read: (UnsafeRawBufferPointer) throws -> Reply?) throws -> Reply? {
        while true {
            let reply = try framer.nextLine { line in
                switch line {
                case .complete(let bytes), .tooLong(let bytes): try read(bytes)
                }
            }
            guard let reply else { return nil }
            // Of some lines nothing is made.
            if let reply { return reply }
        }
    }

    /// What the line says; nothing if it is one that a newer daemon has and this version does not know.
    private static func decoded(_ line: UnsafeRawBufferPointer) throws -> Reply? {
        try ReplyDecoder.decode(line)?.reply
    }

    /// The answer to `request`; the events before it go to `onEvent`.
    ///
    /// - Throws: ``Failure``.
    package func ask(_ request: Request, onEvent: (Reply) -> Void = { _ in }) throws -> Reply {
        send(request)
        while true {
            let reply = try receive()
            switch reply {
            case .lost, .lostEverything, .restored: onEvent(reply)
            default: return reply
            }
        }
    }
}
