import CSystemd
import Glibc
public import Logging

/// Writes to the systemd journal, with a field for everything that a message says: `journalctl LOCKD_NAME=reports/nightly`.
///
/// `MESSAGE` is the text of the message alone; each key of its metadata is a field `LOCKD_KEY`; messages that the catalog explains have their
/// `MESSAGE_ID`. What the journal does not take is written by another handler. May block while journald does, as writing to stderr may.
public struct JournalLogHandler: LogHandler {
    /// What is said with every message.
    public var metadata: Logger.Metadata = [:]
    /// More that is said with every message.
    public var metadataProvider: Logger.MetadataProvider?
    /// The least level that is written.
    public var logLevel: Logger.Level = .info

    private let substitute: any LogHandler
    private let send: @Sendable (JournalEntry) -> Bool

    /// Writes to the journal, and, if that takes it not, by `substitute`.
    public init(substitute: any LogHandler) {
        self.init(substitute: substitute, send: Self.sendToJournal)
    }

    /// Sends with `send`, which says whether that was possible.
    init(substitute: any LogHandler, send: @escaping @Sendable (JournalEntry) -> Bool) {
        self.substitute = substitute
        self.send = send
    }

    /// Whether what is written to stderr goes to the journal anyway, by what `$JOURNAL_STREAM` says.
    public static var stderrIsJournal: Bool {
        getenv("JOURNAL_STREAM").map { isJournal(STDERR_FILENO, stream: String(cString: $0)) } ?? false
    }

    /// Whether a descriptor is the stream that the text names: the numbers of its device and its inode, with a colon between them.
    static func isJournal(_ descriptor: CInt, stream: String) -> Bool {
        var status = stat()
        return fstat(descriptor, &status) == 0 && stream == "\(status.st_dev):\(status.st_ino)"
    }

    /// One key of ``metadata``.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one message.
    public func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if send(JournalEntry(event, metadata: all)) { return }
        var event = event
        event.metadata = all
        substitute.log(event: event)
    }

    private static func sendToJournal(_ entry: JournalEntry) -> Bool {
        // Without a journal libsystemd says that all went well, and drops the message.
        guard access("/run/systemd/journal/socket", W_OK) == 0 else { return false }
        let lengths = entry.fields.map(\.count)
        var bytes = Array(entry.fields.joined())
        let result = bytes.withUnsafeMutableBytes { all in
            var start = all.baseAddress
            let parts = lengths.map { length in
                defer { start = start.map { $0 + length } }
                return iovec(iov_base: start, iov_len: length)
            }
            return sd_journal_sendv(parts, CInt(parts.count))
        }
        return result >= 0
    }
}
