import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl doctor`: what is wrong, and the command that mends it.
struct Doctor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look for what keeps programs from their leases, and say what mends it.",
        discussion: "Exits with 1 if something is wrong. Warnings are not; they say what may go wrong next."
    )

    @OptionGroup var daemon: DaemonOptions

    /// How long a daemon may take to answer.
    private static let patience = Milliseconds.seconds(5)

    @Flag(help: "One JSON array, an object for each finding.")
    var json = false

    func run() throws {
        var findings: [Finding] = []
        try reportingFailures {
            let path = try SocketPath.find(argument: daemon.socket, user: daemon.user)
            let examination = Examination(path: path, isUsersOwn: daemon.user)
            findings = examination.findings { try daemon.connect(patience: Self.patience) }
        }
        if json {
            print(JSON.array(findings.map(\.json)).line)
        } else {
            for finding in findings { print(finding.line(with: .output)) }
        }
        if findings.contains(where: { $0.verdict == .wrong }) { throw Ending.nothingThere }
    }
}

/// What was looked at, and how it is.
struct Finding {
    enum Verdict: String {
        case good = "ok"
        case warning
        case wrong
    }

    let subject: String
    let verdict: Verdict
    let text: String
    /// What to do about it, a command if there is one.
    let remedy: String?

    init(_ subject: String, _ verdict: Verdict, _ text: String, remedy: String? = nil) {
        self.subject = subject
        self.verdict = verdict
        self.text = text
        self.remedy = remedy
    }

    private var emphasis: Emphasis {
        switch verdict {
        case .good: .good
        case .warning: .warning
        case .wrong: .wrong
        }
    }

    func line(with ink: Ink) -> String {
        let verdict = self.verdict.rawValue
        let advice = remedy.map { "\n         do: \($0)" } ?? ""
        return ink(verdict, emphasis) + String(repeating: " ", count: 9 - verdict.count)
            + "\(subject): \(text)\(advice)"
    }

    var json: JSON {
        .object([
            ("subject", .string(subject)), ("verdict", .string(verdict.rawValue)), ("text", .string(text)),
            ("remedy", .text(remedy)),
        ])
    }
}

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
            findings += limits(try statistics(connection.connection))
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
