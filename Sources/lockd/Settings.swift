import Glibc
import LockdModel
import Logging

/// What the daemon is to do: the command line before the environment before the configuration file before what is usual.
struct Settings {
    private(set) var socketPath = ""
    let socketMode: UInt32
    private(set) var stateDirectory = ""
    var limits = Limits()
    var logLevel = Logger.Level.notice
    /// How long nobody may use the daemon before it ends by itself.
    var exitWhenIdle: Milliseconds?
    /// Where it is said what a setting is, by key; nothing of those that are as usual.
    private(set) var places: [String: String] = [:]
    /// What is no problem, and worth knowing for whoever checks.
    private(set) var remarks: [String] = []
    /// Directories that are made if they are missing, with their permissions.
    ///
    /// A socket's directory that was asked for is not one of them: a mistyped path should not come into being.
    private var directories: [(path: String, mode: mode_t)] = []

    /// What is asked for, and under which circumstances.
    struct Request {
        /// What the command line says of settings, by key.
        var arguments: [String: String] = [:]
        var environment = Environment([:])
        /// The path of the configuration file, if there is one.
        var file: String?
        var isForUser = false
        /// Where systemd listens for the daemon, if it does.
        var listeningAt: String?
        /// Whether nothing is to be started, so that it does not matter that no socket was passed.
        var isOnlyChecked = false

        /// Whether `LOCKD_SOCKET` is for this daemon.
        ///
        /// Not with `--user`, as it is for clients: the command line says which daemon is meant. And not where systemd listens: the variable says where
        /// clients find a daemon, perhaps another one, and is in the environment of whatever is started for a user.
        var takesSocketFromEnvironment: Bool { !isForUser && listeningAt == nil }
    }

    /// - Throws: ``SettingsProblem`` with all that is wrong.
    init(_ request: Request) throws {
        let sources = SettingsSources(request)
        var problems = sources.problems
        socketMode = request.isForUser ? 0o600 : 0o660
        takeLimits(sources, &problems)
        if let (level, place) = sources.text(.logLevel) {
            logLevel = Logger.Level(rawValue: level) ?? logLevel
            places[Setting.logLevel.key] = place
        }
        do { try takeSocket(sources, request) } catch let problem as SettingsProblem { problems += problem.sentences }
        do { try takeStateDirectory(sources, request) } catch let problem as SettingsProblem {
            problems += problem.sentences
        }
        takeExitWhenIdle(sources, request, &problems)
        if !problems.isEmpty { throw SettingsProblem(problems) }
    }

    private mutating func takeLimits(_ sources: SettingsSources, _ problems: inout [String]) {
        for limit in LimitSetting.all {
            guard let (number, place) = sources.number(limit.setting) else { continue }
            limits[keyPath: limit.field] = number
            places[limit.setting.key] = place
        }
        for limit in LimitSetting.all {
            // The share that nobody has set is no more than what there is, and needs no words.
            guard let total = limit.total, let place = places[limit.setting.key],
                limits[keyPath: limit.field] > limits[keyPath: total.field]
            else { continue }
            let sentence = limit.objection(at: place, total: total.key, limits[keyPath: total.field])
            if !problems.contains(sentence) { problems.append(sentence) }
        }
    }

    private mutating func takeSocket(_ sources: SettingsSources, _ request: Request) throws {
        let said = sources.text(.socket)
        if let listeningAt = request.listeningAt {
            // A setting that is silently ignored is not what its author thinks.
            if let said, said.value != listeningAt {
                throw SettingsProblem(
                    "\(said.place): socket is \(said.value), but systemd listens at \(listeningAt): leave that out, or change ListenStream= of the socket unit"
                )
            }
            (socketPath, places[Setting.socket.key]) = (listeningAt, "systemd")
        } else if let said {
            (socketPath, places[Setting.socket.key]) = said
        } else {
            var directory = "/run/lockd"
            if request.isForUser {
                guard let runtimeDirectory = request.environment("XDG_RUNTIME_DIR") else {
                    throw SettingsProblem("--user needs $XDG_RUNTIME_DIR, which is not set; set it, or name a --socket")
                }
                directory = runtimeDirectory + "/lockd"
                places[Setting.socket.key] = "$XDG_RUNTIME_DIR"
            }
            socketPath = directory + "/lockd.sock"
            if let obstacle = Setting.socket.obstacle(to: socketPath) {
                throw SettingsProblem("$XDG_RUNTIME_DIR: \(obstacle)")
            }
            directories.append((directory, request.isForUser ? 0o700 : 0o755))
        }
        let variable = Setting.socket.variable
        if !request.takesSocketFromEnvironment, let path = request.environment(variable), path != socketPath {
            remarks.append("$\(variable), \(path), is for clients only, and does not count here")
        }
    }

    private mutating func takeStateDirectory(_ sources: SettingsSources, _ request: Request) throws {
        let environment = request.environment
        let key = Setting.stateDirectory.key
        if let said = sources.text(.stateDirectory) {
            (stateDirectory, places[key]) = said
        } else if let first = environment("STATE_DIRECTORY")?.split(separator: ":").first {
            // systemd may name several, separated by colons; the first is this one.
            (stateDirectory, places[key]) = (String(first), "$STATE_DIRECTORY")
        } else if !request.isForUser {
            stateDirectory = "/var/lib/lockd"
        } else if let directory = environment("XDG_STATE_HOME") {
            (stateDirectory, places[key]) = (directory + "/lockd", "$XDG_STATE_HOME")
        } else if let home = environment("HOME") {
            (stateDirectory, places[key]) = (home + "/.local/state/lockd", "$HOME")
        } else {
            throw SettingsProblem("--user needs $XDG_STATE_HOME or $HOME, which are not set; or name a --state-dir")
        }
        directories.append((stateDirectory, 0o700))
    }

    private mutating func takeExitWhenIdle(
        _ sources: SettingsSources,
        _ request: Request,
        _ problems: inout [String]
    ) {
        guard let (text, place) = sources.text(.exitWhenIdle) else { return }
        exitWhenIdle = IdleTime(text)?.limit
        places[Setting.exitWhenIdle.key] = place
        guard exitWhenIdle != nil, request.listeningAt == nil else { return }
        let sentence =
            "exit-when-idle is only for a daemon that systemd starts by its socket: without lockd.socket nobody would start it again"
        if request.isOnlyChecked { remarks.append(sentence) } else { problems.append("\(place): \(sentence)") }
    }

    /// The names of the settings that are others in `new`, and that cannot change while the daemon runs.
    func whatNeedsARestart(to new: Settings) -> [String] {
        var names: [String] = []
        if new.socketPath != socketPath { names.append(Setting.socket.key) }
        if new.stateDirectory != stateDirectory { names.append(Setting.stateDirectory.key) }
        return names
    }

    /// What `setting` is, as it would be written.
    func spelling(of setting: Setting) -> String {
        switch setting.key {
        case Setting.socket.key: socketPath
        case Setting.stateDirectory.key: stateDirectory
        case Setting.logLevel.key: logLevel.rawValue
        case Setting.exitWhenIdle.key: IdleTime.spelling(exitWhenIdle)
        default:
            LimitSetting.all.first { $0.setting.key == setting.key }.map { "\(limits[keyPath: $0.field])" } ?? "?"
        }
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
}
