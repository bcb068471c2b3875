import CLinux
import LockdModel
import LockdServer
import Logging
import Systemd

/// What lockd does as a service: tells systemd how it is doing, if systemd has started it, and reads its configuration again on SIGHUP.
final class ServiceSupervisor: Supervisor {
    let requestDescriptor: CInt?
    private let notifier: Notifier
    private var watchdog: Watchdog?
    private let logger: Logger
    private let logLevel: LogLevel
    private var settings: Settings
    private let readSettings: () throws -> Settings

    private var pace = StatusPace<ServerCounts>()
    private var counts = ServerCounts(sessions: 0, leases: 0, waiters: 0)
    /// What is to be said besides, until the configuration is read once more.
    private var remark: String?
    private var hasWarned = false

    /// How long the end may wait for systemd to hear of it.
    private static let patienceAtEnd = Milliseconds(1000)
    /// How long a start may take: far longer than to go on with as much as there can be.
    private static let patienceAtStart = Milliseconds.seconds(60)

    /// Supervises a server that was started with `settings`.
    ///
    /// - Parameters:
    ///   - requests: a signalfd for SIGHUP.
    ///   - readSettings: reads them again.
    init(
        _ settings: Settings,
        requests: CInt,
        notifier: Notifier,
        watchdog: Watchdog?,
        logger: Logger,
        logLevel: LogLevel,
        readSettings: @escaping () throws -> Settings
    ) {
        self.settings = settings
        requestDescriptor = requests
        self.notifier = notifier
        self.watchdog = watchdog
        self.logger = logger
        self.logLevel = logLevel
        self.readSettings = readSettings
    }

    var outputDescriptor: CInt? { notifier.descriptor }
    var wantsOutput: Bool { notifier.wantsOutput }

    /// To be called before the server is made: to go on with what the daemon before has left is what takes longest.
    func serverIsStarting() { look(at: notifier.extendTimeout(by: Self.patienceAtStart)) }

    func serverIsReady(_ counts: ServerCounts, at now: MonotonicInstant) {
        self.counts = counts
        pace.tell(counts, at: now)
        look(at: notifier.ready(status: status))
    }

    func turnEnded(_ counts: ServerCounts, at now: MonotonicInstant) -> MonotonicInstant? {
        // Nobody wants to know, so nothing is counted, and nothing wakes the loop up.
        guard notifier.descriptor != nil else { return nil }
        self.counts = counts
        if watchdog?.keepAlive(at: now) == true { look(at: notifier.keepAlive()) }
        if pace.tells(counts, at: now) { look(at: notifier.status(status)) }
        if notifier.wantsOutput { look(at: notifier.flush()) }
        return [watchdog?.dueAt, pace.dueAt].compactMap { $0 }.min()
    }

    func takeRequest(at now: MonotonicInstant) -> SupervisorRequest {
        var isFromTerminal = false
        guard let requestDescriptor, clinux_read_signal(requestDescriptor, &isFromTerminal) != 0 else {
            return .nothing
        }
        // Whoever has started it there is gone.
        if isFromTerminal { return .stop }
        look(at: notifier.reloading())
        let request = reload()
        pace.tell(counts, at: now)
        look(at: notifier.ready(status: status))
        return request
    }

    func serverIsStopping() {
        look(at: notifier.stopping(status: "ending"))
        notifier.flush(waitingAtMost: Self.patienceAtEnd)
    }

    private func reload() -> SupervisorRequest {
        let new: Settings
        do {
            new = try readSettings()
        } catch {
            remark = "the configuration was not read again: \(error)"
            logger.error(
                "cannot read the configuration again, keeping the former one",
                metadata: ["error": "\(error)"]
            )
            return .nothing
        }
        let fixed = settings.whatNeedsARestart(to: new).joined(separator: ", ")
        remark = fixed.isEmpty ? nil : "\(fixed) changed and needs a restart"
        logLevel.current = new.logLevel
        (settings.limits, settings.logLevel, settings.exitWhenIdle) = (new.limits, new.logLevel, new.exitWhenIdle)
        logger.notice("configuration read again")
        if !fixed.isEmpty { logger.warning("needs a restart", metadata: ["settings": "\(fixed)"]) }
        return .change(new.limits, exitWhenIdle: new.exitWhenIdle)
    }

    private var status: String {
        let sentence =
            "serving \(Self.count(counts.sessions, "session")), \(Self.count(counts.leases, "lease")), "
            + Self.count(counts.waiters, "waiter")
        return remark.map { "\(sentence); \($0)" } ?? sentence
    }

    private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// Says that systemd cannot be told, once, until it can again.
    private func look(at outcome: Notifier.Outcome) {
        switch outcome {
        case .unsupported, .queued: break
        case .sent: hasWarned = false
        case .failed:
            if !hasWarned { logger.warning("cannot tell systemd", metadata: ["error": "\(outcome.problem ?? "")"]) }
            hasWarned = true
        }
    }
}
