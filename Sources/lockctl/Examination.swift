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

    /// What starts the daemon that is meant.
    private var startCommand: String {
        if isUsersOwn { return "systemctl --user enable --now lockd.socket" }
        return isSystems ? "sudo systemctl enable --now lockd.socket" : "lockd --socket \(path)"
    }

    typealias Connection = (connection: BlockingConnection, welcome: Reply.Welcome, path: String)

    func findings(_ connect: () throws -> Connection) -> [Finding] {
        let system = isSystems || isUsersOwn ? SystemdExamination(isUsersOwn: isUsersOwn) : nil
        return ofDaemon(connect) + (system?.findings() ?? [])
    }

    private func ofDaemon(_ connect: () throws -> Connection) -> [Finding] {
        var findings = [socket()]
        guard findings[0].verdict != .wrong else { return findings }
        let access = self.access()
        findings.append(access)
        guard access.verdict != .wrong else { return findings }
        do {
            let connection = try connect()
            findings.append(
                Finding(
                    "daemon",
                    .good,
                    "lockd \(connection.welcome.daemonVersion) (pid \(connection.welcome.process)) answers"
                )
            )
            findings.append(version(connection.welcome))
            let statistics = try statistics(connection.connection)
            findings += limits(statistics)
            findings.append(Self.clock(statistics, at: .now()))
        } catch {
            findings.append(
                Finding(
                    "daemon",
                    .wrong,
                    "\(error)",
                    remedy: isSystems ? "sudo systemctl restart lockd.service" : startCommand
                )
            )
        }
        if let record = record() { findings.append(record) }
        return findings
    }

    private func socket() -> Finding {
        var status = stat()
        if stat(path, &status) == 0 {
            if status.st_mode & S_IFMT == S_IFSOCK { return Finding("socket", .good, path) }
            return Finding("socket", .wrong, "\(path) is no socket", remedy: "remove it, then \(startCommand)")
        }
        if errno == EACCES {
            return Finding(
                "socket",
                .wrong,
                "the directory of \(path) is closed to this user",
                remedy: "ls -ld \(directory)"
            )
        }
        return Finding("socket", .wrong, "there is none at \(path)", remedy: startCommand)
    }

    private var directory: String { path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } }

    /// Whether this user may connect, and if not, whether it is of the group that may.
    private func access() -> Finding {
        if Glibc.access(path, W_OK) == 0 { return Finding("access", .good, "this user may connect") }
        var status = stat()
        guard stat(path, &status) == 0, let group = getgrgid(status.st_gid) else {
            return Finding("access", .wrong, "this user may not connect to \(path)", remedy: "ls -l \(path)")
        }
        let name = String(cString: group.pointee.gr_name)
        let user = Users.name(of: UserID(getuid()))
        if Self.members(of: group.pointee).contains(user) {
            let text = "\(user) is in the group \(name), but this login is older than that"
            return Finding("access", .wrong, text, remedy: "log out and in again, or: newgrp \(name)")
        }
        guard status.st_mode & S_IWGRP != 0, status.st_gid != 0 else {
            return Finding("access", .wrong, "\(user) may not connect to \(path)", remedy: "ls -l \(path)")
        }
        let text = "\(user) may not connect: the socket is for root and the group \(name)"
        return Finding(
            "access",
            .wrong,
            text,
            remedy: "sudo usermod --append --groups \(name) \(user), then log in again"
        )
    }

    private static func members(of group: group) -> [String] {
        var members: [String] = []
        var next = group.gr_mem
        while let pointer = next, let member = pointer.pointee {
            members.append(String(cString: member))
            next = pointer + 1
        }
        return members
    }

    private func version(_ welcome: Reply.Welcome) -> Finding {
        if welcome.daemonVersion == LockdVersion.current {
            return Finding("version", .good, "lockctl and lockd are both \(LockdVersion.current)")
        }
        let text = "lockctl is \(LockdVersion.current) and the daemon that runs is \(welcome.daemonVersion)"
        return Finding("version", .warning, text, remedy: isSystems ? "sudo systemctl restart lockd.service" : nil)
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
        return Finding("clock", .warning, text, remedy: "timedatectl timesync-status, and keep /var/lib/lockd")
    }

    /// The beginning of 2024: lockd did not exist then.
    private static let earliest: Int64 = 1_704_067_200_000

    /// What all users together may have, and how much of it there is.
    ///
    /// What each may have is less; who has it all is told so by the errors of its programs.
    private func limits(_ statistics: [String: String]) -> [Finding] {
        let counted = ["sessions", "leases", "waiters"].map { ($0, $0, "\($0)-limit") }
        return (counted + [("log", "log-bytes", "log-limit-bytes")]).compactMap { key, gauge, bound in
            guard let used = statistics[gauge].flatMap(Int.init), let limit = statistics[bound].flatMap(Int.init)
            else {
                return nil
            }
            let text = "\(used) of \(limit)"
            if Double(used) < Double(limit) * Self.fullShare { return Finding(key, .good, text) }
            return Finding(
                key,
                .warning,
                "\(text): what comes on top is refused",
                remedy: "raise \(key) in lockd.conf(5), then: sudo systemctl reload lockd.service"
            )
        }
    }

    /// Whether a damaged record of what is held was put aside.
    private func record() -> Finding? {
        let damaged = path + ".log.damaged"
        guard Glibc.access(damaged, F_OK) == 0 else { return nil }
        let text = "\(damaged) is a damaged record of what was held: leases may have been lost"
        return Finding(
            "record",
            .warning,
            text,
            remedy: "journalctl --unit lockd.service, and remove the file when you have seen it"
        )
    }
}
