import Glibc
import LockdModel
import Logging
import Testing

@testable import lockd

@Suite struct SettingsTests {
    @Test func theCommandLineGoesBeforeTheEnvironmentAndThatBeforeTheFile() throws {
        let file = try ConfigurationFile(
            """
            socket: /tmp/file.sock
            state-dir: /tmp/file-state
            log-level: debug
            limits:
              sessions: 5
              leases: 6
              leases-per-user: 6
            """
        )
        let request = Settings.Request(
            arguments: ["socket": "/tmp/argument.sock", "log-level": "error"],
            environment: Environment([
                "LOCKD_LOG_LEVEL": "info", "LOCKD_STATE_DIR": "/tmp/environment", "LOCKD_LIMITS_LEASES": "7",
            ]),
            file: file.path
        )
        let settings = try Settings(request)
        #expect(settings.socketPath == "/tmp/argument.sock")
        #expect(settings.stateDirectory == "/tmp/environment")
        #expect(settings.logLevel == .error)
        #expect(settings.limits.sessions == 5)
        #expect(settings.limits.leases == 7)
        #expect(
            settings.places == [
                "socket": "--socket", "state-dir": "$LOCKD_STATE_DIR", "log-level": "--log-level",
                "limits.sessions": "\(file.path):5", "limits.leases": "$LOCKD_LIMITS_LEASES",
                "limits.leases-per-user": "\(file.path):7",
            ]
        )
    }

    @Test func everySettingHasAVariable() throws {
        #expect(
            Setting.all.map(\.variable) == [
                "LOCKD_SOCKET", "LOCKD_STATE_DIR", "LOCKD_LOG_LEVEL", "LOCKD_EXIT_WHEN_IDLE", "LOCKD_LIMITS_SESSIONS",
                "LOCKD_LIMITS_SESSIONS_PER_USER", "LOCKD_LIMITS_RESERVED_SESSIONS", "LOCKD_LIMITS_LEASES",
                "LOCKD_LIMITS_LEASES_PER_USER", "LOCKD_LIMITS_LEASES_PER_SESSION", "LOCKD_LIMITS_WAITERS",
                "LOCKD_LIMITS_WAITERS_PER_USER", "LOCKD_LIMITS_WAITERS_PER_SESSION", "LOCKD_LIMITS_BYTES_PER_USER",
            ]
        )
        var variables = ["LOCKD_LOG_LEVEL": "trace", "LOCKD_EXIT_WHEN_IDLE": "never", "LOCKD_STATE_DIR": "/d"]
        for limit in LimitSetting.all { variables[limit.setting.variable] = "1" }
        variables["LOCKD_LIMITS_BYTES_PER_USER"] = "65536"
        let settings = try Settings(Settings.Request(environment: Environment(variables)))
        #expect(Set(settings.places.keys) == Set(Setting.all.map(\.key)).subtracting(["socket"]))
        #expect(LimitSetting.all.dropLast().allSatisfy { settings.limits[keyPath: $0.field] == 1 })
    }

    @Test(arguments: [
        "a0: &a0 [x]\n? *a0\n: 1\n", "log-level: &level debug\n", "socket: *other\n", "a#: &b [x]\n", "a: don't, &b\n",
        "a: [\"\\\"\", &b x]\n", "a: [\"x\n  y # z\", &b x]\n", "a: {\"k\":&b x}\n", "a: x, 'y\nb: &c x\n",
        "a: 1\r# b\rb: *c\r",
    ])
    func referencesOfYamlAreRefusedBeforeTheyAreFollowed(text: String) throws {
        let file = try ConfigurationFile(text)
        let problem = #expect(throws: SettingsProblem.self) { try Settings(Settings.Request(file: file.path)) }
        #expect(problem?.description.contains("references, & and * before a word, are not for this file") == true)
    }

    @Test func signsOfReferencesInQuotesAndCommentsAreNone() throws {
        let file = try ConfigurationFile("# a & b *bold*\nlog-level: info # *c*\nsocket: \"/tmp/a&b*.sock\"  # *\n")
        #expect(try Settings(Settings.Request(file: file.path)).socketPath == "/tmp/a&b*.sock")
    }

    @Test func pathWithANulIsRefused() throws {
        let file = try ConfigurationFile(#"socket: "/tmp/a\0b""#)
        let problem = #expect(throws: SettingsProblem.self) { try Settings(Settings.Request(file: file.path)) }
        #expect(problem?.description.contains("socket must be a path, and has a NUL in it") == true)
    }

    @Test func whatAMessageRepeatsIsFitForATerminal() throws {
        let file = try ConfigurationFile(#""a\nMAINPID=1\e[31m": 2"#)
        let problem = #expect(throws: SettingsProblem.self) { try Settings(Settings.Request(file: file.path)) }
        #expect(problem?.description.contains("unknown key \"a%0AMAINPID=1%1B[31m\"") == true)
    }

    @Test func limitsComeFromTheFile() throws {
        let file = try ConfigurationFile("limits:\n  sessions: 5\n  reserved-sessions: 1\n  waiters-per-session: 7\n")
        let settings = try Settings(Settings.Request(file: file.path))
        var expected = Limits()
        expected.sessions = 5
        expected.reservedSessions = 1
        expected.waitersPerSession = 7
        #expect(settings.limits == expected)
        #expect(settings.logLevel == .notice)
    }

    @Test func limitsOfAUserComeFromTheFile() throws {
        let file = try ConfigurationFile(
            """
            limits:
              sessions: 5
              sessions-per-user: 5
              leases: 10
              leases-per-user: 6
              waiters-per-user: 7
              bytes-per-user: 100000
            """
        )
        let settings = try Settings(Settings.Request(file: file.path))
        #expect(settings.limits.sessionsPerUser == 5)
        #expect(settings.limits.leasesPerUser == 6)
        #expect(settings.limits.waitersPerUser == 7)
        #expect(settings.limits.bytesPerUser == 100_000)
    }

    @Test(arguments: [
        (
            "sockets: /x\n",
            ":1: unknown key \"sockets\" (did you mean socket?); known are socket, state-dir, log-level, exit-when-idle, limits"
        ),
        ("colour: red\n", ":1: unknown key \"colour\"; known are socket,"),
        (
            "socket: /x\nlimits:\n  session: 5\n",
            ":3: unknown key \"limits.session\" (did you mean limits.sessions?); known are limits.sessions,"
        ),
        (
            "limits:\n  sessions: many\n",
            ":2: limits.sessions must be a whole number from 1 to 1000000, and is \"many\""
        ),
        ("limits:\n  sessions: 0\n", ":2: limits.sessions must be a whole number from 1 to 1000000, and is \"0\""),
        ("limits:\n  sessions: [5]\n", ":2: limits.sessions must be a whole number from 1 to 1000000"),
        ("limits:\n  waiters-per-session: 1001\n", "must be a whole number from 1 to 1000"),
        (
            "limits:\n  leases: 10\n  leases-per-user: 11\n",
            ":3: limits.leases-per-user must be no more than limits.leases, which is 10"
        ),
        ("limits:\n  waiters-per-user: 100001\n", "must be no more than limits.waiters, which is 100000"),
        ("limits:\n  sessions-per-user: 8193\n", "must be no more than limits.sessions, which is 8192"),
        ("limits:\n  bytes-per-user: 1000\n", "must be a whole number from 65536 to"),
        (
            "exit-when-idle: rarely\n",
            ":1: exit-when-idle must be a time from 1s to 366d, like 30s, 10m or 2h, or never"
        ),
        ("limits: 5\n", ":1: limits must be a list of lines"), ("limits:\n", ":1: limits must be a list of lines"),
        ("log-level: loud\n", ":1: log-level is \"loud\"; it can be trace,"),
        ("socket: [a, b]\n", ":1: socket must be one text"), ("- a\n- b\n", ":1: expected lines like"),
        ("log-level: info\nsocket: \"/x\n", ":3: this is not YAML: found unexpected end of stream"),
        ("log-level: info\nsocket: \u{1}\n", ":2: this is not YAML: control characters are not allowed"),
        ("socket: /x\nsocket: /y\n", ":2: socket is said already, in line 1"),
        ("\"socket\": /x\n\n# y\n'socket': /y\n", ":4: socket is said already, in line 1"),
        ("limits:\n  leases: 5\n  # y\n  leases: 5\n", ":4: limits.leases is said already, in line 2"),
        ("limits: {leases: 5,\n leases: 5}\n", ":2: limits.leases is said already, in line 1"),
        ("limits: {leases: 5}\nlimits: {waiters: 5}\n", ":2: limits is said already, in line 1"),
        ("!!str socket: /x\n!!str socket: /y\n", ":1: said again further down: socket"),
    ])
    func aWrongFileIsRefusedWithItsPlace(text: String, expected: String) throws {
        let file = try ConfigurationFile(text)
        // Also where what is wrong is overruled.
        var request = Settings.Request(arguments: ["socket": "/s", "log-level": "info"], file: file.path)
        request.environment = Environment(["LOCKD_EXIT_WHEN_IDLE": "never", "LOCKD_LIMITS_SESSIONS": "10"])
        if text.contains("sessions-per-user") { request.environment = Environment([:]) }
        let problems = try problems(of: request)
        #expect(problems.count == 1)
        #expect(problems[0].hasPrefix(file.path))
        #expect(problems[0].contains(expected), "\(problems[0])")
    }

    @Test func allThatIsWrongIsSaid() throws {
        let file = try ConfigurationFile("socet: /x\nlog-level: loud\nlimits:\n  sessions: 0\n  leases: 0\n")
        let request = Settings.Request(
            arguments: ["exit-when-idle": "0s"],
            environment: Environment([
                "LOCKD_LIMITS_SESIONS": "4", "LOCKD_LOG_LEVEL": "mute", "LOCKD_LIMITS_WAITERS": "",
            ]),
            file: file.path
        )
        let beginnings = [
            "\(file.path):1: unknown key", "$LOCKD_LIMITS_SESIONS: no setting has this variable",
            "--exit-when-idle: exit-when-idle must be", "$LOCKD_LOG_LEVEL: log-level is \"mute\"",
            "\(file.path):2: log-level is", "\(file.path):4: limits.sessions", "\(file.path):5: limits.leases",
        ]
        let problems = try problems(of: request)
        #expect(problems.count == beginnings.count, "\(problems)")
        for (problem, beginning) in zip(problems, beginnings) { #expect(problem.hasPrefix(beginning)) }
    }

    /// What is said twice is read twice: neither hides what else is wrong, nor is it right by being the second.
    @Test func whatIsSaidTwiceHidesNothing() throws {
        let text = """
            socet: /x
            limits:
              leases: 5
              leases: none
              # The third.
              leases: 7
              waiters: 0
            log-level: info
            other: {a: 1, a: 2}
            log-level: loud
            limits:
              leases: 8
            """
        let file = try ConfigurationFile(text)
        let problems = try problems(of: Settings.Request(file: file.path))
        let beginnings = [
            "1: unknown key", "4: limits.leases is said already, in line 3", "4: limits.leases must be a whole number",
            "6: limits.leases is said already, in line 3", "9: unknown key \"other\"",
            "10: log-level is said already, in line 8", "10: log-level is \"loud\"",
            "11: limits is said already, in line 2", "12: limits.leases is said already, in line 3",
            "7: limits.waiters must be",
        ]
        #expect(problems.count == beginnings.count, "\(problems)")
        for (problem, beginning) in zip(problems, beginnings) {
            #expect(problem.hasPrefix("\(file.path):\(beginning)"), "\(problem)")
        }
    }

    @Test func whatIsSaidTwiceIsSaidAlsoOfAFileThatIsNoYAML() throws {
        let file = try ConfigurationFile("limits:\n  leases: 5\n  leases: 6\nsocket: \"/x\n")
        let problems = try problems(of: Settings.Request(file: file.path))
        try #require(problems.count == 2)
        #expect(problems[0] == "\(file.path):2: said again further down: leases")
        #expect(problems[1].hasPrefix("\(file.path):5: this is not YAML: found unexpected end of stream"))
    }

    @Test func howeverOftenItIsSaidEachLineIsNamed() throws {
        let file = try ConfigurationFile(String(repeating: "socket: /x\n", count: 61))
        let expected = (2...61).map { "\(file.path):\($0): socket is said already, in line 1" }
        #expect(try problems(of: Settings.Request(file: file.path)) == expected)
    }

    /// A daemon that does not start is started ten times a second.
    @Test func mappingsWithRepetitionsAreNotReadWithoutEnd() throws {
        let file = try ConfigurationFile((1...2000).map { "n\($0): {a: 1, a: 2, b: 3, b: 4}\n" }.joined())
        let problems = try problems(of: Settings.Request(file: file.path))
        #expect(problems.first == "\(file.path):1: said again further down: a")
        #expect(problems.count < 40)
    }

    private static let longPath = "/" + String(repeating: "x", count: 107)

    /// The kernel has no room for it, as binding it would find only when the daemon starts.
    @Test func aSocketPathThatIsTooLongIsRefusedWhereverItIsSaid() throws {
        let objection = "the socket path \(Self.longPath) has 108 bytes; the kernel allows 107"
        let file = try ConfigurationFile("log-level: info\nsocket: \(Self.longPath)\n")
        let runtime = Self.longPath.dropLast("/lockd/lockd.sock".count)
        let requests = [
            ("--socket", Settings.Request(arguments: ["socket": Self.longPath])),
            ("$LOCKD_SOCKET", Settings.Request(environment: Environment(["LOCKD_SOCKET": Self.longPath]))),
            ("\(file.path):2", Settings.Request(arguments: ["socket": "/s"], file: file.path)),
        ]
        for (place, request) in requests {
            let expected = ["\(place): \(objection)"]
            #expect(try problems(of: request) == expected)
            #expect(throws: SettingsProblem.self) { try ConfigurationCheck(request) }
        }
        let variables = ["XDG_RUNTIME_DIR": String(runtime), "HOME": "/h"]
        let users = Settings.Request(environment: Environment(variables), isForUser: true)
        #expect(
            try problems(of: users) == [
                "$XDG_RUNTIME_DIR: \(objection.replacing(Self.longPath, with: runtime + "/lockd/lockd.sock"))"
            ]
        )
        let longest = Settings.Request(arguments: ["socket": String(Self.longPath.dropLast())])
        #expect(try Settings(longest).socketPath.utf8.count == 107)
    }

    /// The log gets it whenever the daemon is started with such a file, ten times a second.
    @Test func ofVeryMuchThatIsWrongTheBeginningIsSaid() throws {
        let file = try ConfigurationFile((1...1000).map { "key\($0): 1\n" }.joined())
        let problems = try problems(of: Settings.Request(file: file.path))
        #expect(problems.count == 101)
        #expect(problems[99].hasPrefix("\(file.path):100: unknown key"))
        #expect(problems[100] == "900 more problems")
    }

    @Test(arguments: [
        ("LOCKD_LIMITS_SESIONS", "did you mean $LOCKD_LIMITS_SESSIONS?"),
        ("LOCKD_LOGLEVEL", "did you mean $LOCKD_LOG_LEVEL?"),
        ("LOCKD_LIMITS_COLOURS", "known are LOCKD_SOCKET, LOCKD_STATE_DIR,"),
    ])
    func aVariableThatNoSettingHasIsRefused(name: String, expected: String) throws {
        let problems = try problems(of: Settings.Request(environment: Environment([name: "1"])))
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("$\(name): no setting has this variable; \(expected)") == true)
    }

    /// Those of the other programs of this package, some of which are in the environment of what is run under a lease.
    @Test(arguments: [
        "LOCKD_NAME", "LOCKD_NAMES", "LOCKD_TOKEN", "LOCKD_USER", "LOCKD_PREFIX", "LOCKD_TTL", "LOCKD_NOTE",
    ])
    func aVariableOfOthersIsLeftAlone(name: String) throws {
        #expect(try Settings(Settings.Request(environment: Environment([name: "1"]))).places.isEmpty)
    }

    @Test func aShareIsComparedWithWhatIsInForce() throws {
        let file = try ConfigurationFile("limits:\n  leases-per-user: 150000\n")
        var request = Settings.Request(environment: Environment(["LOCKD_LIMITS_LEASES": "200000"]), file: file.path)
        #expect(try Settings(request).limits.leasesPerUser == 150_000)
        request.environment = Environment(["LOCKD_LIMITS_LEASES_PER_USER": "100001"])
        let expected =
            "$LOCKD_LIMITS_LEASES_PER_USER: limits.leases-per-user must be no more than limits.leases, which is 100000"
        #expect(try problems(of: request) == [expected])
    }

    @Test(arguments: [("1s", 1000), ("10m", 600_000), ("10min", 600_000), ("366d", 366 * 86_400_000)])
    func anIdleTimeComesFromTheFile(text: String, count: Int64) throws {
        let file = try ConfigurationFile("exit-when-idle: \(text)\n")
        var request = Settings.Request(file: file.path, listeningAt: "/s")
        #expect(try Settings(request).exitWhenIdle == Milliseconds(count))
        request.arguments = ["exit-when-idle": "5s"]
        #expect(try Settings(request).exitWhenIdle == .seconds(5))
        request.arguments = ["exit-when-idle": "never"]
        #expect(try Settings(request).exitWhenIdle == nil)
        let problems = try problems(of: Settings.Request(file: file.path))
        #expect(problems.count == 1)
        let expected = "\(file.path):1: exit-when-idle is only for a daemon that systemd starts by its socket"
        #expect(problems[0].hasPrefix(expected))
    }

    @Test func aSocketThatIsPassedIsTheSocket() throws {
        #expect(try Settings(Settings.Request(listeningAt: "/run/other.sock")).socketPath == "/run/other.sock")
        let same = try ConfigurationFile("socket: /run/other.sock\n")
        var request = Settings.Request(file: same.path, listeningAt: "/run/other.sock")
        #expect(try Settings(request).socketPath == "/run/other.sock")
        request.listeningAt = "/run/lockd.sock"
        let expected =
            "\(same.path):1: socket is /run/other.sock, but systemd listens at /run/lockd.sock: leave that out, or change ListenStream= of the socket unit"
        #expect(try problems(of: request) == [expected])
    }

    /// It says where clients find a daemon, in the environment of all that is started for a user, a daemon among it.
    @Test func theVariableOfTheSocketIsForClientsWhereSystemdListens() throws {
        var request = Settings.Request(environment: Environment(["LOCKD_SOCKET": "/run/lockd/lockd.sock"]))
        #expect(try Settings(request).places["socket"] == "$LOCKD_SOCKET")
        request.listeningAt = "/run/user/1/lockd/lockd.sock"
        let settings = try Settings(request)
        #expect(settings.socketPath == "/run/user/1/lockd/lockd.sock")
        #expect(settings.places["socket"] == "systemd")
    }

    /// So `lockd --user` and `lockctl --user` meet, whatever the variable says.
    @Test func theVariableOfTheSocketIsForClientsWhereTheUsersOwnDaemonIsMeant() throws {
        var variables = ["LOCKD_SOCKET": "/run/lockd/lockd.sock", "XDG_RUNTIME_DIR": "/run/user/1", "HOME": "/h"]
        var settings = try Settings(Settings.Request(environment: Environment(variables), isForUser: true))
        #expect(settings.socketPath == "/run/user/1/lockd/lockd.sock")
        #expect(
            settings.remarks == ["$LOCKD_SOCKET, /run/lockd/lockd.sock, is for clients only, and does not count here"]
        )
        variables["LOCKD_SOCKET"] = "/run/user/1/lockd/lockd.sock"
        settings = try Settings(Settings.Request(environment: Environment(variables), isForUser: true))
        #expect(settings.remarks.isEmpty)
    }

    @Test func aMissingFileIsNamed() throws {
        let problems = try problems(of: Settings.Request(file: "/nowhere/lockd.conf"))
        #expect(problems == ["cannot read /nowhere/lockd.conf: No such file or directory"])
    }

    @Test func anEmptyPathIsRefused() throws {
        let problems = try problems(of: Settings.Request(arguments: ["socket": ""]))
        #expect(problems == ["--socket: socket must be one text that is not empty"])
    }

    @Test func theSocketOfAUserIsForThatUserOnly() throws {
        var request = Settings.Request(arguments: ["socket": "/s", "state-dir": "/d"])
        #expect(try Settings(request).socketMode == 0o660)
        request.isForUser = true
        #expect(try Settings(request).socketMode == 0o600)
    }

    @Test func theDirectoriesOfAUserComeFromTheEnvironment() throws {
        let variables = ["XDG_RUNTIME_DIR": "/run/user/1", "XDG_STATE_HOME": "/state", "HOME": "/home/one"]
        var request = Settings.Request(environment: Environment(variables), isForUser: true)
        var settings = try Settings(request)
        #expect(settings.socketPath == "/run/user/1/lockd/lockd.sock")
        #expect(settings.stateDirectory == "/state/lockd")
        #expect(settings.places == ["socket": "$XDG_RUNTIME_DIR", "state-dir": "$XDG_STATE_HOME"])
        request.environment = Environment(["XDG_RUNTIME_DIR": "/r", "HOME": "/home/one", "STATE_DIRECTORY": "/a:/b"])
        settings = try Settings(request)
        #expect(settings.stateDirectory == "/a")
        #expect(settings.places["state-dir"] == "$STATE_DIRECTORY")
        request.environment = Environment([:])
        #expect(try problems(of: request).map { $0.prefix(12) } == ["--user needs", "--user needs"])
    }
}

@Suite struct ConfigurationCheckTests {
    @Test func everySettingIsSaidWithItsSource() throws {
        let file = try ConfigurationFile("exit-when-idle: 10m\nlimits:\n  sessions: 5000\n")
        let request = Settings.Request(
            arguments: ["socket": "/s"],
            environment: Environment(["LOCKD_LOG_LEVEL": "info"]),
            file: file.path
        )
        let check = try ConfigurationCheck(request)
        #expect(check.lines.count == Setting.all.count)
        #expect(
            check.lines.prefix(6).map { $0.split(separator: " ").joined(separator: " ") } == [
                "socket: /s (--socket)", "state-dir: /var/lib/lockd (default)", "log-level: info ($LOCKD_LOG_LEVEL)",
                "exit-when-idle: 10m (\(file.path):1)", "limits.sessions: 5000 (\(file.path):3)",
                "limits.sessions-per-user: 4096 (default)",
            ]
        )
        // Where it is checked, systemd does not pass a socket; where it is started, it may.
        #expect(check.notes.count == 1)
        #expect(check.notes[0].hasPrefix("note: exit-when-idle is only for a daemon that systemd starts by its socket"))
    }

    /// What is installed is an example of everything, and says what is so without it.
    @Test func theExampleHasEverySettingWithItsDefault() throws {
        let path = String(#filePath.dropLast("Tests/lockdTests/SettingsTests.swift".count)) + "systemd/lockd.conf"
        let example = try TextFile.read(path).split(separator: "\n").map { line in
            let isSetting = line.dropFirst().split(separator: " ").first?.hasSuffix(":") == true
            return line.hasPrefix("#") && isSetting ? String(line.dropFirst()) : String(line)
        }
        let file = try ConfigurationFile(example.joined(separator: "\n"))
        let inForce = try Settings(Settings.Request(file: file.path))
        let usual = try Settings(Settings.Request())
        #expect(Set(inForce.places.keys) == Set(Setting.all.map(\.key)))
        for setting in Setting.all { #expect(inForce.spelling(of: setting) == usual.spelling(of: setting)) }
        #expect(try Settings(Settings.Request(file: path)).places.isEmpty)
    }
}

/// All that is wrong with `request`.
private func problems(of request: Settings.Request) throws -> [String] {
    try #require(#expect(throws: SettingsProblem.self) { try Settings(request) }).sentences
}

/// A configuration file for one test.
private final class ConfigurationFile {
    let path: String

    init(_ text: String) throws {
        var template = Array("/tmp/lockd-settings-XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        try #require(descriptor != -1)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let bytes = Array(text.utf8)
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
    }

    deinit { unlink(path) }
}
