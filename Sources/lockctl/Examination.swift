import Glibc
import LockdClient
import LockdModel
import LockdWire

/// The things that are looked at, in the order in which a program meets them.
struct Examination {
    let path: String
    let isUsersOwn: Bool

    /// A limit of which more than so much is used is worth a warning.
    private static let fullShare = 0.9

    private var isSystems: Bool { path == SocketPath.system }

    private var shownPath: String { Readable.text(path) }

    /// What starts the daemon that is meant.
    private var startCommand: String {
        if isUsersOwn { return "systemctl --user enable --now lockd.socket" }
        return isSystems ? "sudo systemctl enable --now lockd.socket" : "lockd --socket \(path.shellWord)"
    }

    /// The same where something is in its place.
    private var freshStart: String {
        if isUsersOwn { return "systemctl --user restart lockd.socket" }
        return isSystems ? "sudo systemctl restart lockd.socket" : startCommand
    }

    /// What has a daemon answer again.
    ///
    /// The socket of systemd is left as it is, with those who wait in it.
    private var revival: String {
        if isUsersOwn { return "systemctl --user restart lockd.service" }
        if isSystems { return "sudo systemctl restart lockd.service" }
        return DaemonProcess(serving: path)?.restarting(hangs: true, at: path) ?? startCommand
    }

    typealias Connection = (connection: BlockingConnection, welcome: Reply.Welcome, path: String)

    func findings(_ connect: () throws -> Connection) -> [Finding] {
        let system = isSystems || isUsersOwn ? SystemdExamination(isUsersOwn: isUsersOwn) : nil
        return ofDaemon(connect) + (system?.findings() ?? [])
    }

    private func ofDaemon(_ connect: () throws -> Connection) -> [Finding] {
        var findings = [socket()]
        guard findings[0].verdict != .wrong else { return findings }
        let access = AccessExamination(path: path).finding()
        findings.append(access)
        guard access.verdict != .wrong else { return findings }
        do {
            let (connection, welcome, _) = try connect()
            let process = DaemonProcess(welcome.process)
            findings.append(
                Finding("daemon", .good, "lockd \(welcome.daemonVersion) (pid \(welcome.process)) answers")
            )
            findings.append(version(welcome, process))
            let statistics = try statistics(connection)
            findings += limits(statistics, process)
            findings.append(Self.clock(statistics, at: .now()))
        } catch {
            findings.append(Finding("daemon", .wrong, "\(error)", remedy: revival))
        }
        if let record = record() { findings.append(record) }
        return findings
    }

    private func socket() -> Finding {
        var status = stat()
        if stat(path, &status) == 0 {
            if status.st_mode & S_IFMT == S_IFSOCK { return Finding("socket", .good, shownPath) }
            if status.st_mode & S_IFMT == S_IFDIR {
                let within = "\(path)/lockd.sock".shellWord
                return Finding(
                    "socket",
                    .wrong,
                    "\(shownPath) is a directory",
                    remedy: "lockctl doctor --socket \(within)"
                )
            }
            let move = "\(isSystems ? "sudo " : "")mv \(path.shellWord) \("\(path).old".shellWord)"
            return Finding("socket", .wrong, "\(shownPath) is no socket", remedy: "\(move) && \(freshStart)")
        }
        if errno == EACCES { return closedDirectory() }
        return Finding("socket", .wrong, "there is none at \(shownPath)", remedy: startCommand)
    }

    /// The first directory on the way to the socket that this user may not go through.
    private func closedDirectory() -> Finding {
        var directory = ""
        for name in path.split(separator: "/").dropLast() {
            directory += "/\(name)"
            if Glibc.access(directory, X_OK) != 0 { break }
        }
        let user = Users.name(of: UserID(getuid()))
        return Finding(
            "socket",
            .wrong,
            "the directory \(Readable.text(directory)) is closed to \(user)",
            remedy: opening(directory)
        )
    }

    /// What lets others through a directory, if that is nobody's own.
    private func opening(_ directory: String) -> String {
        if directory.hasPrefix("/run/user/") {
            return "systemctl --user enable --now lockd.socket, then: lockctl doctor --user"
        }
        if isSystems || isNobodysOwn(directory) { return "sudo chmod a+x \(directory.shellWord)" }
        return "have the daemon listen elsewhere: lockd --socket /run/lockd/lockd.sock"
    }

    /// Whether a directory is neither a person's nor the home of root.
    private func isNobodysOwn(_ directory: String) -> Bool {
        var status = stat()
        guard stat(directory, &status) == 0, status.st_uid < Self.firstPerson else { return false }
        let home = getpwuid(status.st_uid).map { String(cString: $0.pointee.pw_dir) }
        return home != directory
    }

    /// The first number that Debian gives to the user of a person.
    private static let firstPerson: uid_t = 1000

    private func version(_ welcome: Reply.Welcome, _ process: DaemonProcess) -> Finding {
        let (ours, theirs) = (LockdVersion.current, welcome.daemonVersion.description)
        if theirs == ours { return Finding("version", .good, "lockctl and lockd are both \(ours)") }
        let text = "lockctl is \(ours) and the daemon that runs is \(theirs)"
        let numbers = { (version: String) in version.split(separator: ".").map { Int($0) ?? 0 } }
        if numbers(ours).lexicographicallyPrecedes(numbers(theirs)) {
            // The lockctl that runs is an old one. To start the same daemon again would change nothing.
            let newer = process.lockctl.map { "\($0.shellWord) doctor --socket \(path.shellWord)" }
            return Finding("version", .warning, text, remedy: newer ?? "sudo apt install lockd")
        }
        return Finding("version", .warning, text, remedy: restart(process))
    }

    /// Has the daemon that is installed take the place of the one that runs.
    private func restart(_ process: DaemonProcess) -> String {
        if isUsersOwn { return "systemctl --user restart lockd.service" }
        return isSystems ? "sudo systemctl restart lockd.service" : process.restarting(at: path)
    }

    private func statistics(_ connection: BlockingConnection) throws -> [String: String] {
        connection.send(.stats)
        var statistics: [String: String] = [:]
        while true {
            switch try connection.receive() {
            case .statistic(let key, let value): statistics[key] = value
            case .end: return statistics
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }
    }

    /// Whether the clock on the wall can be what the fencing tokens begin with when there is no state to go on from.
    static func clock(_ statistics: [String: String], at now: WallTime) -> Finding {
        let uptime = statistics["uptime"].flatMap { text -> Milliseconds? in
            var text = text
            return text.withUTF8 { Milliseconds(spelling: UnsafeRawBufferPointer($0)) }
        }
        if now.milliseconds < earliest {
            return Finding(
                "clock",
                .wrong,
                "it says \(now.date), which is long ago",
                remedy: "sudo timedatectl set-ntp true"
            )
        }
        guard let began = statistics["start-time"].flatMap({ Int64($0) }), let uptime else {
            return Finding("clock", .good, "it says \(now.date)")
        }
        // It may have been set forward, or the machine suspended, during which the uptime stands still: neither is in the way of anything.
        let back = began + uptime.count - now.milliseconds
        if back < 2000 { return Finding("clock", .good, "it says \(now.date), and was not set back while lockd runs") }
        let text =
            "it was set back by \(Milliseconds(back).display) while lockd runs: should its state be lost, tokens would not grow"
        return Finding("clock", .warning, text, remedy: "sudo timedatectl set-ntp true")
    }

    /// The beginning of 2024: lockd did not exist then.
    private static let earliest: Int64 = 1_704_067_200_000

    /// What all users together may have, and how much of it there is.
    ///
    /// What each may have is less; who has it all is told so by the errors of its programs.
    private func limits(_ statistics: [String: String], _ process: DaemonProcess) -> [Finding] {
        let counted = ["sessions", "leases", "waiters"].map { ($0, $0, "\($0)-limit") }
        return (counted + [("log", "log-bytes", "log-limit-bytes")]).compactMap { key, gauge, bound in
            guard let used = statistics[gauge].flatMap(Int.init), let limit = statistics[bound].flatMap(Int.init)
            else {
                return nil
            }
            let isMemory = key == "log"
            let text = isMemory ? "\(Bytes(used).display) of \(Bytes(limit).display)" : "\(used) of \(limit)"
            if Double(used) < Double(limit) * Self.fullShare { return Finding(key, .good, text) }
            let (condition, remedy) = raising(key, limit, process)
            return Finding(key, .warning, "\(text): what comes on top is refused until \(condition)", remedy: remedy)
        }
    }

    /// What has to happen for there to be more of `key`, and what does it.
    private func raising(_ key: String, _ limit: Int, _ process: DaemonProcess) -> (condition: String, remedy: String) {
        // All that is held and waited for is written down there, and no setting makes it larger.
        if key == "log" { return ("leases end", "lockctl ls --wide, then: lockctl revoke NAME") }
        if key == "sessions", !process.hasDescriptors(forMoreSessionsThan: limit) {
            return ("the limit of open files is raised", raisingDescriptors(process))
        }
        let condition = "limits.\(key) is raised"
        if isSystems {
            let file = process.configurationFile ?? "/etc/lockd/lockd.conf"
            return (condition, "sudoedit \(file.shellWord) && sudo systemctl reload lockd.service")
        }
        if let file = process.configurationFile { return (condition, process.editing(file)) }
        let variable = "LOCKD_LIMITS_\(key.uppercased())=\(limit * 2)"
        if isUsersOwn {
            return (condition, "systemctl --user set-environment \(variable) && systemctl --user restart lockd.service")
        }
        return (condition, process.restarting("env \(variable) ", at: path))
    }

    /// As many as the unit asks for.
    private func raisingDescriptors(_ process: DaemonProcess) -> String {
        if isSystems || isUsersOwn {
            let (systemctl, edit) = isUsersOwn ? ("systemctl --user", "") : ("sudo systemctl", "sudo ")
            let directory = isUsersOwn ? "~/.config/systemd/user" : "/etc/systemd/system"
            let file = "\(directory)/lockd.service.d/files.conf"
            return
                "\(edit)mkdir -p \(directory)/lockd.service.d && printf '[Service]\\nLimitNOFILE=524288\\n' | \(edit)tee \(file) && \(systemctl) daemon-reload && \(systemctl) restart lockd.service"
        }
        // To raise it takes root, and the daemon is started as before.
        return (getuid() == 0 ? "" : "sudo ") + "prlimit --pid $$ --nofile=524288 && \(process.restarting(at: path))"
    }

    /// Whether a damaged record of what is held was put aside.
    ///
    /// It is of no use to the daemon: when somebody has seen it, it can go.
    private func record() -> Finding? {
        let damaged = path + ".log.damaged"
        guard Glibc.access(damaged, F_OK) == 0 else { return nil }
        let text = "\(Readable.text(damaged)) is a damaged record of what was held: leases may have been lost"
        return Finding("record", .warning, text, remedy: "\(isSystems ? "sudo " : "")rm \(damaged.shellWord)")
    }
}
