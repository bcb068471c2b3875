import Glibc
import LockdModel
import Logging
import Testing

@testable import lockd

@Suite struct SettingsTests {
    @Test func theCommandLineGoesBeforeTheFile() throws {
        let file = try ConfigurationFile("socket: /tmp/file.sock\nstate-dir: /tmp/file-state\nlog-level: debug\n")
        let settings = try Settings(
            file: file.path,
            socket: "/tmp/argument.sock",
            stateDirectory: nil,
            logLevel: .error,
            isForUser: false
        )
        #expect(settings.socketPath == "/tmp/argument.sock")
        #expect(settings.stateDirectory == "/tmp/file-state")
        #expect(settings.logLevel == .error)
    }

    @Test func limitsComeFromTheFile() throws {
        let file = try ConfigurationFile("limits:\n  sessions: 5\n  reserved-sessions: 1\n  waiters-per-session: 7\n")
        let settings = try Settings(
            file: file.path,
            socket: "/tmp/s",
            stateDirectory: "/tmp/d",
            logLevel: nil,
            isForUser: false
        )
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
        let settings = try Settings(
            file: file.path,
            socket: "/tmp/s",
            stateDirectory: "/tmp/d",
            logLevel: nil,
            isForUser: false
        )
        #expect(settings.limits.sessionsPerUser == 5)
        #expect(settings.limits.leasesPerUser == 6)
        #expect(settings.limits.waitersPerUser == 7)
        #expect(settings.limits.bytesPerUser == 100_000)
    }

    @Test(arguments: [
        (
            "sockets: /x\n",
            ":1: unknown key \"sockets\"; known are socket, state-dir, log-level, exit-when-idle, limits"
        ),
        ("socket: /x\nlimits:\n  session: 5\n", ":3: unknown key \"limits.session\"; known are limits.sessions,"),
        ("limits:\n  sessions: many\n", ":2: limits.sessions must be a whole number from 1 to 1000000"),
        ("limits:\n  sessions: 0\n", ":2: limits.sessions must be a whole number from 1 to 1000000"),
        ("limits:\n  waiters-per-session: 1001\n", "must be a whole number from 1 to 1000"),
        (
            "limits:\n  leases: 10\n  leases-per-user: 11\n",
            ":3: limits.leases-per-user must be no more than limits.leases, which is 10"
        ),
        ("limits:\n  waiters-per-user: 100001\n", "must be no more than limits.waiters, which is 100000"),
        ("limits:\n  sessions-per-user: 8193\n", "must be no more than limits.sessions, which is 8192"),
        ("limits:\n  bytes-per-user: 1000\n", "must be a whole number from 65536 to"),
        ("exit-when-idle: never\n", ":1: exit-when-idle must be a time from 1s to 366d, like 30s, 10m or 2h"),
        ("limits: 5\n", "limits must be a list of lines"),
        ("log-level: loud\n", "log-level is \"loud\"; it can be trace,"),
        ("socket: [a, b]\n", ":1: socket must be one text"), ("- a\n- b\n", "expected lines like"),
        ("socket: \"/x\n", "error"),
    ])
    func aWrongFileIsRefusedWithItsPlace(text: String, expected: String) throws {
        let file = try ConfigurationFile(text)
        let error = #expect(throws: SettingsProblem.self) {
            try Settings(file: file.path, socket: "/s", stateDirectory: "/d", logLevel: nil, isForUser: false)
        }
        let description = try #require(error).description
        #expect(description.hasPrefix(file.path))
        #expect(description.contains(expected), "\(description)")
    }

    @Test(arguments: [("1s", 1000), ("10m", 600_000), ("10min", 600_000), ("366d", 366 * 86_400_000)])
    func anIdleTimeComesFromTheFile(text: String, count: Int64) throws {
        let file = try ConfigurationFile("exit-when-idle: \(text)\n")
        #expect(try passedSocket(at: "/s", file: file).exitWhenIdle == Milliseconds(count))
        #expect(try passedSocket(at: "/s", file: file, exitWhenIdle: .seconds(5)).exitWhenIdle == .seconds(5))
        let error = #expect(throws: SettingsProblem.self) {
            try Settings(file: file.path, socket: "/s", stateDirectory: "/d", logLevel: nil, isForUser: false)
        }
        #expect(
            error?.description.hasPrefix("exit-when-idle is only for a daemon that systemd starts by its socket")
                == true
        )
    }

    @Test func aSocketThatIsPassedIsTheSocket() throws {
        #expect(try passedSocket(at: "/run/other.sock").socketPath == "/run/other.sock")
        let same = try ConfigurationFile("socket: /run/other.sock\n")
        #expect(try passedSocket(at: "/run/other.sock", file: same).socketPath == "/run/other.sock")
        let error = #expect(throws: SettingsProblem.self) { try passedSocket(at: "/run/lockd.sock", file: same) }
        #expect(
            error?.description
                == "systemd listens at /run/lockd.sock, but socket is set to /run/other.sock: leave that out, or change "
                + "ListenStream= of the socket unit"
        )
    }

    private func passedSocket(
        at path: String,
        file: ConfigurationFile? = nil,
        exitWhenIdle: Milliseconds? = nil
    ) throws -> Settings {
        try Settings(
            file: file?.path,
            socket: nil,
            stateDirectory: "/d",
            logLevel: nil,
            exitWhenIdle: exitWhenIdle,
            isForUser: false,
            listeningAt: path
        )
    }

    @Test func aMissingFileIsNamed() {
        let error = #expect(throws: SettingsProblem.self) {
            try Settings(file: "/nowhere/lockd.conf", socket: nil, stateDirectory: nil, logLevel: nil, isForUser: false)
        }
        #expect(error?.description == "cannot read /nowhere/lockd.conf: No such file or directory")
    }

    @Test func anEmptyPathIsRefused() {
        #expect(throws: SettingsProblem.self) {
            try Settings(file: nil, socket: "", stateDirectory: "/d", logLevel: nil, isForUser: false)
        }
    }

    @Test func theSocketOfAUserIsForThatUserOnly() throws {
        let machine = try Settings(file: nil, socket: "/s", stateDirectory: "/d", logLevel: nil, isForUser: false)
        let user = try Settings(file: nil, socket: "/s", stateDirectory: "/d", logLevel: nil, isForUser: true)
        #expect(machine.socketMode == 0o660)
        #expect(user.socketMode == 0o600)
    }
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
