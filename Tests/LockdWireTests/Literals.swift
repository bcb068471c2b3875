public import LockdModel
import LockdWire

// So that a test reads `.released("a", token: 7)`.

extension LockName: ExpressibleByStringLiteral {
    /// The name of these characters.
    public init(stringLiteral string: String) {
        guard let name = try? LockName(string) else { preconditionFailure("not a name: \(string)") }
        self = name
    }
}

extension LockNames: ExpressibleByStringLiteral {
    /// The names of these characters, with spaces between them.
    public init(stringLiteral string: String) {
        let names = string.split(separator: " ").map { LockName(stringLiteral: String($0)) }
        guard let first = names.first, let all = LockNames(first, Array(names.dropFirst())) else {
            preconditionFailure("not names: \(string)")
        }
        self = all
    }
}

extension Text: ExpressibleByStringLiteral {
    /// The text of these characters.
    public init(stringLiteral string: String) {
        guard let text = try? Text(string, limit: .max) else { preconditionFailure("not a text: \(string)") }
        self = text
    }
}

extension Tag: ExpressibleByStringLiteral {
    /// The tag of these characters, without `#`.
    public init(stringLiteral string: String) {
        guard let tag = bytes(string).withUnsafeBytes(Tag.init(parsing:)) else {
            preconditionFailure("not a tag: \(string)")
        }
        self = tag
    }
}

extension FencingToken: ExpressibleByIntegerLiteral {
    /// The token with this number.
    public init(integerLiteral value: UInt64) { self.init(value) }
}

extension Milliseconds: ExpressibleByIntegerLiteral {
    /// So many milliseconds.
    public init(integerLiteral value: Int64) { self.init(value) }
}

/// The UTF-8 bytes of `string`.
func bytes(_ string: String) -> [UInt8] { Array(string.utf8) }

/// What the daemon makes of `line`.
func decodeRequest(_ line: [UInt8]) throws(RefusedLine) -> TaggedRequest {
    let result = line.withUnsafeBytes { line in
        Result { () throws(RefusedLine) in try RequestDecoder.decode(line) }
    }
    return try result.get()
}

/// What the daemon makes of `line`.
func decodeRequest(_ line: String) throws(RefusedLine) -> TaggedRequest { try decodeRequest(bytes(line)) }

/// What the daemon answers to a `line` that is no request, without LF; `nil` if it is one.
func refusal(of line: [UInt8]) -> String? {
    do throws(RefusedLine) {
        _ = try decodeRequest(line)
        return nil
    } catch {
        return encode(error.reply)
    }
}

/// What the daemon answers to a `line` that is no request, without LF; `nil` if it is one.
func refusal(of line: String) -> String? { refusal(of: bytes(line)) }

/// The line of `reply`, without its LF.
func encode(_ reply: TaggedReply) -> String {
    var line: [UInt8] = []
    ReplyEncoder.encode(reply, to: &line)
    precondition(line.popLast() == UInt8(ascii: "\n"), "no LF at the end")
    return String(decoding: line, as: UTF8.self)
}

/// The line of `request`, without its LF.
func encode(_ request: TaggedRequest) -> String {
    var line: [UInt8] = []
    RequestEncoder.encode(request, to: &line)
    precondition(line.popLast() == UInt8(ascii: "\n"), "no LF at the end")
    return String(decoding: line, as: UTF8.self)
}

/// What a client makes of `line`.
func decodeReply(_ line: [UInt8]) throws(MalformedReply) -> TaggedReply? {
    let result = line.withUnsafeBytes { line in
        Result { () throws(MalformedReply) in try ReplyDecoder.decode(line) }
    }
    return try result.get()
}

/// What a client makes of `line`.
func decodeReply(_ line: String) throws(MalformedReply) -> TaggedReply? { try decodeReply(bytes(line)) }
