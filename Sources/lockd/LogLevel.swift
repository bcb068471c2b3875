import Logging
import Synchronization

/// The least level of messages that are written, for all loggers of the program: it can change while they are in use.
final class LogLevel: Sendable {
    private let level: Mutex<Logger.Level>

    init(_ level: Logger.Level) { self.level = Mutex(level) }

    var current: Logger.Level {
        get { level.withLock { $0 } }
        set { level.withLock { $0 = newValue } }
    }
}

/// Writes by another handler, at the level that is in force.
struct LeveledLogHandler: LogHandler {
    private var base: any LogHandler
    private let level: LogLevel
    /// The level of a logger that was given one of its own.
    private var ownLevel: Logger.Level?

    init(_ base: any LogHandler, _ level: LogLevel) {
        self.base = base
        self.level = level
    }

    var logLevel: Logger.Level {
        get { ownLevel ?? level.current }
        set { ownLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { base.metadataProvider }
        set { base.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { base.log(event: event) }
}
