import ArgumentParser
import Glibc

/// What the server speaks.
enum Dialect: String, CaseIterable, ExpressibleByArgument {
    /// `ACQUIRE` and `RELEASE`, docs/protocol.md.
    case lockd
    /// `SET NX PX` and `DEL`: the fastest lock that Redis can be asked for. A careful client needs a script to release, so that it does
    /// not delete what another one holds by now.
    case redis
}

/// Requests that are sent in one write, and the replies that they must get, in this order.
///
/// Everything is spelled once, before the measurement.
struct Batch {
    private(set) var requests: [UInt8] = []
    private var replies: [UInt8] = []
    private var expectations: [Expectation] = []

    /// How the reply to one request must read.
    private struct Expectation {
        /// Where the reply's beginning is in ``replies``.
        let range: Range<Int>
        let ending: Ending
    }

    /// What follows the beginning of a reply.
    enum Ending {
        case nothing
        /// A number, kept as the token of that place.
        case token
        /// The number that was kept last for that place.
        case sameToken
    }

    /// How many replies there must be.
    var count: Int { expectations.count }

    mutating func append(request: String, reply: String, ending: Ending) {
        requests += request.utf8
        let start = replies.count
        replies += reply.utf8
        expectations.append(Expectation(range: start..<replies.count, ending: ending))
    }

    /// Whether `line`, without its LF, is the right reply to the request at `index`.
    func accepts(_ line: UnsafeRawBufferPointer, at index: Int, tokens: inout [Token]) -> Bool {
        let expectation = expectations[index]
        let length = expectation.range.count
        let matches = replies.withUnsafeBytes { replies in
            guard let start = line.baseAddress, let beginning = replies.baseAddress else { return false }
            return line.count >= length && memcmp(start, beginning + expectation.range.lowerBound, length) == 0
        }
        guard matches else { return false }
        let rest = UnsafeRawBufferPointer(rebasing: line[length...])
        switch expectation.ending {
        case .nothing:
            return rest.isEmpty
        case .token:
            guard let token = Token(rest) else { return false }
            tokens[index] = token
            return true
        case .sameToken:
            return Token(rest) == tokens[index]
        }
    }

    /// The reply that the request at `index` must get, for a message.
    func expectedReply(at index: Int) -> String {
        let expectation = expectations[index]
        let beginning = String(decoding: replies[expectation.range], as: UTF8.self)
        switch expectation.ending {
        case .nothing: return beginning
        case .token: return beginning + "N"
        case .sameToken: return beginning + "N, with the N of the grant"
        }
    }
}

/// A fencing token as the server wrote it.
struct Token: Equatable, Comparable {
    let number: UInt64

    /// The number that `digits` spell, or `nil` if they are not 1 to 19 digits.
    init?(_ digits: UnsafeRawBufferPointer) {
        guard (1...19).contains(digits.count) else { return nil }
        var number: UInt64 = 0
        for byte in digits {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            number = number &* 10 &+ UInt64(digit)
        }
        self.number = number
    }

    /// Less than every token of a grant.
    static let zero = Token()

    private init() { number = 0 }

    static func < (left: Self, right: Self) -> Bool { left.number < right.number }
}

extension Batch {
    /// The batch by which a connection acquires `depth` locks of its own.
    static func acquiring(_ dialect: Dialect, connection: Int, depth: Int, tagged: Bool) -> Self {
        var batch = Batch()
        for index in 0..<depth {
            let name = "lock-\(connection)-\(index)"
            let tag = tagged ? "#\(index) " : ""
            switch dialect {
            case .lockd:
                batch.append(request: "\(tag)ACQUIRE \(name)\n", reply: "\(tag)GRANTED \(name) token=", ending: .token)
            case .redis:
                let value = "1795428843123457"
                batch.append(request: redis("SET", name, value, "NX", "PX", "30000"), reply: "+OK\r", ending: .nothing)
            }
        }
        return batch
    }

    /// The batch by which it releases them.
    static func releasing(_ dialect: Dialect, connection: Int, depth: Int, tagged: Bool) -> Self {
        var batch = Batch()
        for index in 0..<depth {
            let name = "lock-\(connection)-\(index)"
            let tag = tagged ? "#\(index) " : ""
            switch dialect {
            case .lockd:
                batch.append(
                    request: "\(tag)RELEASE \(name)\n",
                    reply: "\(tag)RELEASED \(name) token=",
                    ending: .sameToken
                )
            case .redis:
                batch.append(request: redis("DEL", name), reply: ":1\r", ending: .nothing)
            }
        }
        return batch
    }

    private static func redis(_ words: String...) -> String {
        words.reduce("*\(words.count)\r\n") { "\($0)$\($1.utf8.count)\r\n\($1)\r\n" }
    }
}
