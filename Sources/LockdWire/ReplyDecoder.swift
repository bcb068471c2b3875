import LockdModel

/// A line from the daemon that is no reply: what is at the other end does not speak this protocol, or not this version.
public struct MalformedReply: Error, Hashable, Sendable, CustomStringConvertible {
    /// The line, with `%XX` for every byte that is not printable ASCII, and for `%` itself.
    public let line: String
    /// What is wrong with it, in a few words.
    public let problem: String

    init(_ line: UnsafeRawBufferPointer, _ problem: String) {
        var printable: [UInt8] = []
        for byte in line { printable.write(printable: byte) }
        self.line = String(decoding: printable, as: UTF8.self)
        self.problem = problem
    }

    /// A sentence for whoever has to find out what is at the other end of the socket.
    public var description: String { "not a reply of the lockd protocol, version 1 (\(problem)): \(line)" }
}

/// Reads what the daemon says.
///
/// It follows the protocol's rules of growth: keys and events that it does not know are ignored, a field that may be
/// missing is `nil` when it is, and an error code or a reason of loss that it does not know is kept as it is.
public enum ReplyDecoder {
    /// The reply or event that `line`, without its LF, says; `nil` for an event of a kind that this version does not
    /// know.
    ///
    /// - Throws: if the line is no reply. Whatever follows on that connection cannot be relied on either.
    public static func decode(_ line: UnsafeRawBufferPointer) throws(MalformedReply) -> TaggedReply? {
        do throws(ReplyProblem) {
            var words = try words(of: line)
            if words.skip("*") { return try words.event().map { TaggedReply($0) } }
            let tag = words.isAtTag ? try words.tag() : nil
            return TaggedReply(tag: tag, try reply(&words))
        } catch {
            throw MalformedReply(line, error.description)
        }
    }

    /// Whether `line` is one of a listing, for ``listingLine(_:)``, and not its END or anything else.
    package static func isOfListing(_ line: UnsafeRawBufferPointer) -> Bool {
        let verb = Words.first(of: line)
        return verb.isSpelled("LEASE") || verb.isSpelled("WAITER")
    }

    /// What a line says that ``isOfListing(_:)``: as ``decode(_:)`` has it, for whoever reads very many of them.
    package static func listingLine(_ line: UnsafeRawBufferPointer) throws(MalformedReply) -> Reply.ListingLine {
        do throws(ReplyProblem) {
            var words = try words(of: line)
            if words.skip("WAITER") { return .waiter(try words.waiter()) }
            guard words.skip("LEASE") else { throw .unknownVerb }
            return .lease(try words.lease())
        } catch {
            throw MalformedReply(line, error.description)
        }
    }

    private static func words(of line: UnsafeRawBufferPointer) throws(ReplyProblem) -> ReplyWords {
        guard line.allSatisfy({ $0 < 0x80 }), (try? Words.check(line)) != nil else { throw .notWords }
        return ReplyWords(line)
    }

    private static func reply(_ words: inout ReplyWords) throws(ReplyProblem) -> Reply {
        switch try words.verb() {
        case .welcome: .welcome(try words.welcome())
        case .granted: try words.granted()
        case .held: .held(try words.names(), token: try words.token(), timeToLive: try words.timeToLive())
        case .busy: .busy(try words.names(), holder: try words.holder(), waiterCount: try words.waiterCount())
        case .timedOut:
            .timedOut(
                try words.names(),
                waited: try words.waited(),
                holder: try words.holder(),
                waiterCount: try words.waiterCount()
            )
        case .cancelled where words.isAtTag: .waitCancelled(try words.tag())
        case .cancelled: .cancelled(try words.names(), waited: try words.waited())
        case .released: .released(try words.names(), token: try words.token())
        case .renewed: .renewed(try words.names(), token: try words.token(), timeToLive: try words.timeToLive())
        case .notHeld: .notHeld(try words.name())
        case .notWaiting: .notWaiting(try words.tag())
        case .lease: .lease(try words.lease())
        case .waiter: .waiter(try words.waiter())
        case .end: .end(next: try words.optional("next", Cursor.init(spelling:)))
        case .revoked: .revoked(try words.names(), token: try words.token())
        case .denied:
            .denied(
                try words.names(),
                token: try words.token(),
                holder: try words.required("uid", UserID.init(decimal:))
            )
        case .statistic: try words.statistic()
        case .histogram: .histogram(try words.histogram())
        case .pong: .pong
        case .bye: .bye
        case .error: .error(try words.error())
        case .queued:
            .queued(
                try words.names(),
                position: try words.position(),
                on: try words.optional("on") { try? LockName(parsing: $0) },
                holder: try words.holder(),
                waiterCount: try words.waiterCount()
            )
        case .deadlock:
            .deadlock(try words.names(), edgeCount: try words.required("edges", Int.init(decimal:)))
        case .edge: .edge(try words.edge())
        case .hold: .hold(try words.hold())
        case .watching: .watching(prefix: try words.nameIfAny())
        case .unwatched: .unwatched
        }
    }
}
