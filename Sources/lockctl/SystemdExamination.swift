import Glibc
import LockdModel

/// What systemd and its journal say of the daemon.
struct SystemdExamination {
    private let isUsersOwn: Bool

    /// `nil` where no systemd runs.
    init?(isUsersOwn: Bool) {
        if access("/run/systemd/system", F_OK) != 0 { return nil }
        self.isUsersOwn = isUsersOwn
    }

    private var systemctl: String { isUsersOwn ? "systemctl --user" : "systemctl" }
    /// The same, for what changes something.
    private var asRoot: String { isUsersOwn ? systemctl : "sudo systemctl" }
    private var journalctl: String { isUsersOwn ? "journalctl --user" : "journalctl" }

    func findings() -> [Finding] {
        // Where systemd does not answer, there is nothing to say, and something else is wrong.
        guard let socket = properties(of: "lockd.socket"), let service = serviceProperties() else {
            return []
        }
        return [self.socket(socket), self.service(service), journal()].compactMap(\.self)
    }

    /// Those of the service; at a moment, if there is one, at which the exit code of the start before is known, which the next one clears.
    private func serviceProperties() -> [String: String]? {
        var unit = properties(of: "lockd.service")
        for _ in 0..<50 where unit?["ActiveState"] == "activating" && unit?["ExecMainStatus"] == "0" {
            usleep(20_000)
            unit = properties(of: "lockd.service")
        }
        return unit
    }

    private func socket(_ unit: [String: String]) -> Finding {
        let subject = "lockd.socket"
        if unit["LoadState"] == "not-found" {
            return Finding(
                subject,
                .warning,
                "there is no such unit: systemd does not start lockd",
                remedy: "sudo apt install lockd"
            )
        }
        if unit["LoadState"] == "masked" {
            return Finding(subject, .wrong, "it is masked", remedy: "\(asRoot) unmask lockd.socket")
        }
        switch unit["ActiveState"] {
        case "active" where unit["UnitFileState"] == "enabled": return Finding(subject, .good, "is active, and enabled")
        case "active":
            let text = "is active, but not enabled: nobody starts it after the next boot"
            return Finding(subject, .warning, text, remedy: "\(asRoot) enable lockd.socket")
        case "failed":
            let text = "has failed (\(unit["Result"] ?? "?"))"
            return Finding(
                subject,
                .wrong,
                text,
                remedy: "\(asRoot) reset-failed lockd.socket lockd.service, then: \(asRoot) start lockd.socket"
            )
        case let state:
            return Finding(subject, .wrong, "is \(state ?? "unknown")", remedy: "\(asRoot) enable --now lockd.socket")
        }
    }

    private func service(_ unit: [String: String]) -> Finding? {
        let subject = "lockd.service"
        let restarts = unit["NRestarts"].flatMap { Int($0) } ?? 0
        switch unit["ActiveState"] {
        case _ where unit["LoadState"] == "not-found": return nil
        case "failed":
            return Finding(
                subject,
                .wrong,
                "has failed (\(unit["Result"] ?? "?"))",
                remedy: "\(log), then: \(asRoot) start lockd.service"
            )
        // Its systemd starts it again and again.
        case "activating" where restarts > 0:
            let status = unit["ExecMainStatus"] ?? "?"
            let remedy = status == "78" ? configuration : log
            return Finding(subject, .wrong, "ends as soon as it is started, with exit code \(status)", remedy: remedy)
        case "active" where restarts > 0:
            let times = restarts == 1 ? "once" : "\(restarts) times"
            return Finding(subject, .warning, "is active, and was restarted \(times) because it ended", remedy: log)
        // Before the first client, and after the last one if it is told so, it does not run.
        case let state: return Finding(subject, .good, "is \(state ?? "unknown")")
        }
    }

    /// What says which settings are wrong, and what opens them.
    ///
    /// Once they are right, systemd starts the daemon by itself. Those of a user come from the unit and the environment of its systemd, of which
    /// the log alone tells.
    private var configuration: String {
        if isUsersOwn { return "\(log), then: systemctl --user edit lockd.service" }
        return "lockd --check-config --config /etc/lockd/lockd.conf, then: sudoedit /etc/lockd/lockd.conf"
    }

    private var log: String { "\(journalctl) --catalog --unit lockd.service" }

    /// The last thing that lockd was not content with.
    private func journal() -> Finding? {
        let subject = "journal"
        let line = output(
            of: "\(journalctl) --unit lockd.service --boot --priority warning --lines 1 --output cat --no-pager --quiet"
        )
        guard let line else { return nil }
        let text = Readable.text(line.split(separator: "\n").last.map(String.init) ?? "")
        if text.isEmpty {
            return Finding(subject, .good, "no warning of lockd since the boot, as far as this user may read it")
        }
        return Finding(
            subject,
            .warning,
            "the last warning of lockd: \(text)",
            remedy: "\(journalctl) --catalog --unit lockd.service --boot --priority warning"
        )
    }

    private func properties(of unit: String) -> [String: String]? {
        let names = "LoadState,ActiveState,UnitFileState,Result,NRestarts,ExecMainStatus"
        guard let lines = output(of: "\(systemctl) show \(unit) --property \(names)") else { return nil }
        var properties: [String: String] = [:]
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { properties[String(parts[0])] = String(parts[1]) }
        }
        return properties
    }

    /// What a line for the shell writes, 64 KiB at the most; `nil` if it fails.
    private func output(of line: String) -> String? {
        guard let stream = popen("\(line) 2>/dev/null", "r") else { return nil }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, stream)
        guard pclose(stream) == 0 else { return nil }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}
