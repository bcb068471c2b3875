import LockdModel
import LockdServer
import Logging

/// One setting: what it is called by each of its sources, and what it may be.
struct Setting {
    /// Its name in the configuration file, with those above it: `limits.sessions`.
    let key: String
    let kind: Kind

    enum Kind {
        case path
        case level
        case idleTime
        case number(ClosedRange<Int>)
    }

    /// The settings that are not limits.
    static let socket = Setting(key: "socket", kind: .path)
    static let stateDirectory = Setting(key: "state-dir", kind: .path)
    static let logLevel = Setting(key: "log-level", kind: .level)
    static let exitWhenIdle = Setting(key: "exit-when-idle", kind: .idleTime)

    /// All of them, in the order in which they are told.
    static var all: [Setting] { [socket, stateDirectory, logLevel, exitWhenIdle] + LimitSetting.all.map(\.setting) }

    /// The names that lead to it.
    var path: [String] { key.split(separator: ".").map(String.init) }

    /// What all variables of the environment begin with that are meant for the programs of this package.
    static let variablePrefix = "LOCKD_"

    /// Its variable in the environment: `LOCKD_LIMITS_SESSIONS`.
    var variable: String {
        Self.variablePrefix + String(key.uppercased().map { $0 == "." || $0 == "-" ? "_" : $0 })
    }

    /// Its option on the command line, which limits do not have.
    var option: String { "--\(key)" }

    /// What is wrong with `text`, and what would be right; `nil` text is what is not one text at all, as a list.
    func objection(to text: String?) -> String? {
        switch kind {
        case .path:
            guard let text, !text.isEmpty else { return "\(key) must be one text that is not empty" }
            return text.utf8.contains(0) ? "\(key) must be a path, and has a NUL in it" : nil
        case .level:
            guard let text, !text.isEmpty else { return "\(key) must be one text" }
            if Logger.Level(rawValue: text) != nil { return nil }
            return "\(key) is \"\(Readable.text(text))\"; it can be \(Self.levelNames)"
        case .idleTime:
            if let text, IdleTime(text) != nil { return nil }
            return "\(key) must be \(IdleTime.choice)\(Self.saying(text))"
        case .number(let range):
            if let text, let number = Int(text), range.contains(number) { return nil }
            return
                "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound)\(Self.saying(text))"
        }
    }

    /// What the kernel has against `text`, which is spelled as it should be.
    func obstacle(to text: String) -> String? {
        key == Self.socket.key ? ServerConfiguration.objection(toSocketPath: text) : nil
    }

    static let levelNames = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")

    private static func saying(_ text: String?) -> String { text.map { ", and is \"\(Readable.text($0))\"" } ?? "" }
}
