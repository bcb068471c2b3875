import Glibc
import LockdModel
import Logging

/// What the daemon is to do: the command line before the configuration file before the environment before what is usual.
struct Settings {
    var socketPath: String
    var socketMode: UInt32
    var stateDirectory: String
    var limits: Limits
    var logLevel: Logger.Level
    /// How long nobody may use the daemon before it ends by itself.
    var exitWhenIdle: Milliseconds?
    /// Directories that are made if they are missing, with their permissions.
    ///
    /// A socket's directory that was asked for is not one of them: a mistyped path should not come into being.
    private var directories: [(path: String, mode: mode_t)] = []

    /// - Parameter listeningAt: where systemd listens for the daemon, if it does.
    init(
        file: String?,
        socket: String?,
        stateDirectory: String?,
        logLevel: Logger.Level?,
        exitWhenIdle: Milliseconds? = nil,
        isForUser: Bool,
        listeningAt: String? = nil
    ) throws {
        let file = try SettingsFile(path: file)
        // All of the file is read, also what the command line overrules: a wrong line is wrong today, not on the day when it counts.
        let (fileSocket, fileState, fileLevel) = try (file.string("socket"), file.string("state-dir"), file.logLevel())
        let fileIdle = try file.exitWhenIdle()
        limits = try file.limits()
        self.exitWhenIdle = exitWhenIdle ?? fileIdle
        self.logLevel = logLevel ?? fileLevel ?? .notice
        socketMode = isForUser ? 0o600 : 0o660
        let named = socket ?? fileSocket
        if let listeningAt {
            try Self.requireSame(listeningAt, named)
            socketPath = listeningAt
        } else if let named {
            socketPath = named
        } else {
            let directory = try isForUser ? Self.runtimeDirectory() + "/lockd" : "/run/lockd"
            socketPath = directory + "/lockd.sock"
            directories.append((directory, isForUser ? 0o700 : 0o755))
        }
        self.stateDirectory =
            try stateDirectory ?? fileState ?? Self.defaultStateDirectory(isForUser: isForUser)
        directories.append((self.stateDirectory, 0o700))
        for (what, path) in [("socket", socketPath), ("state directory", self.stateDirectory)] where path.isEmpty {
            throw SettingsProblem("the path of the \(what) is empty")
        }
        guard listeningAt != nil || self.exitWhenIdle == nil else {
            throw SettingsProblem(
                "exit-when-idle is only for a daemon that systemd starts by its socket: without lockd.socket nobody would start it again"
            )
        }
    }

    /// The names of the settings that are others in `new`, and that cannot change while the daemon runs.
    func whatNeedsARestart(to new: Settings) -> [String] {
        var names: [String] = []
        if new.socketPath != socketPath { names.append("socket") }
        if new.stateDirectory != stateDirectory { names.append("state-dir") }
        return names
    }

    /// A setting that is silently ignored is not what its author thinks.
    private static func requireSame(_ listeningAt: String, _ named: String?) throws {
        guard let named, named != listeningAt else { return }
        throw SettingsProblem(
            "systemd listens at \(listeningAt), but socket is set to \(named): leave that out, or change ListenStream= of the socket unit"
        )
    }

    /// Makes the directories that are missing, with those above them.
    func makeDirectories() throws {
        for (path, mode) in directories { try Self.makeDirectory(path, mode) }
    }

    private static func makeDirectory(_ path: String, _ mode: mode_t) throws {
        // Of "a/b/", "a/b" is not the directory above.
        if path.count > 1, path.hasSuffix("/") { return try makeDirectory(String(path.dropLast()), mode) }
        if mkdir(path, mode) == 0 || errno == EEXIST { return }
        if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            try makeDirectory(String(path[..<slash]), 0o755)
            if mkdir(path, mode) == 0 || errno == EEXIST { return }
        }
        throw SettingsProblem("cannot make the directory \(path): \(String(cString: strerror(errno)))")
    }

    private static func runtimeDirectory() throws -> String {
        guard let directory = environment("XDG_RUNTIME_DIR") else {
            throw SettingsProblem("--user needs $XDG_RUNTIME_DIR, which is not set; set it, or name a --socket")
        }
        return directory
    }

    private static func defaultStateDirectory(isForUser: Bool) throws -> String {
        // systemd may name several, separated by colons; the first is this one.
        if let directories = environment("STATE_DIRECTORY"), let first = directories.split(separator: ":").first {
            return String(first)
        }
        guard isForUser else { return "/var/lib/lockd" }
        if let directory = environment("XDG_STATE_HOME") { return directory + "/lockd" }
        guard let home = environment("HOME") else {
            throw SettingsProblem("--user needs $XDG_STATE_HOME or $HOME, which are not set; or name a --state-dir")
        }
        return home + "/.local/state/lockd"
    }

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value[0] != 0 else { return nil }
        return String(cString: value)
    }
}

/// A setting that cannot be.
struct SettingsProblem: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
