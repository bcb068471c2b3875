import Logging

/// The fields of one entry of the journal, in the order in which they are sent.
///
/// Names of fields are made here out of letters, digits and underscores, and none begins as those that the journal trusts. A value is a
/// string of bytes, whatever is in it: libsystemd sends it with its length, if there is a line feed in it, so no value is ever taken for another field.
struct JournalEntry {
    /// Each is a name, `=`, and a value.
    private(set) var fields: [[UInt8]] = []

    /// How many of what a message says besides its text are sent; none of lockd's says as many.
    static let metadataLimit = 32
    /// How many bytes of a value are sent: more than the longest line of the protocol has.
    static let valueByteCount = 16 * 1024
    /// The most bytes that the journal takes as the name of a field.
    private static let nameByteCount = 64

    /// What `event` says, with `metadata` instead of its own.
    init(_ event: LogEvent, metadata: Logger.Metadata) {
        let message = event.message.description
        append("MESSAGE", message)
        append("PRIORITY", "\(Self.priority(of: event.level))")
        append("SYSLOG_IDENTIFIER", "lockd")
        append("CODE_FILE", event.file)
        append("CODE_LINE", "\(event.line)")
        append("CODE_FUNC", event.function)
        if let identifier = JournalMessage.identifiers[message] { append("MESSAGE_ID", identifier) }
        if let error = event.error { append("LOCKD_ERROR", "\(error)") }
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }).prefix(Self.metadataLimit) {
            append(Self.name(of: key), "\(value)")
        }
    }

    private mutating func append(_ name: String, _ value: String) {
        fields.append(Array("\(name)=".utf8) + value.utf8.prefix(Self.valueByteCount))
    }

    /// The name of the field for a key: `peer.uid` is told as `LOCKD_PEER_UID`.
    private static func name(of key: String) -> String {
        let bytes = key.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 32
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: Array(("LOCKD_".utf8 + bytes).prefix(nameByteCount)), as: UTF8.self)
    }

    /// The priorities of syslog(3).
    private static func priority(of level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
