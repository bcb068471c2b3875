import Configuration
import LockdModel
import Synchronization

/// What a source says of a setting.
struct Said {
    /// `nil` for what is not one text, as a list.
    let text: String?
    /// Where it says so, as an error names it: `--socket`, `$LOCKD_SOCKET`, `/etc/lockd/lockd.conf:7`.
    let place: String
}

/// All that was said of the settings: on the command line, which goes before the environment, which goes before the file.
///
/// Which of them counts is for the `ConfigReader` of Swift Configuration to say. What they say is looked at before, all of it, also
/// what is overruled: a wrong line is wrong today, not on the day when it counts.
struct SettingsSources {
    /// What is wrong, as far as it can be seen of each source for itself.
    private(set) var problems: [String]
    private let reader: ConfigReader
    private let layers: [[String: Said]]
    private let winners = Winners()

    /// What was said for `request`.
    init(_ request: Settings.Request) {
        let (arguments, environment) = (request.arguments, request.environment)
        let file = SettingsFile(path: request.file)
        problems = file.problems + Self.unknownVariables(environment)
        var variables: [String: Said] = [:]
        for setting in Setting.all {
            if setting.key == Setting.socket.key, !request.takesSocketFromEnvironment { continue }
            variables[setting.key] = environment(setting.variable).map { Said(text: $0, place: "$\(setting.variable)") }
        }
        var options: [String: Said] = [:]
        for setting in Setting.all {
            options[setting.key] = arguments[setting.key].map { Said(text: $0, place: setting.option) }
        }
        var layers = [options, variables, file.said]
        for index in layers.indices { Self.removeWrong(from: &layers[index], &problems) }
        self.layers = layers
        problems += Self.shares(in: file.said)
        reader = ConfigReader(
            providers: [
                InMemoryProvider(name: "command line", values: Self.values(of: layers[0])),
                EnvironmentVariablesProvider(environmentVariables: Self.texts(of: layers[1]))
                    .prefixKeys(with: ConfigKey([String(Setting.variablePrefix.lowercased().dropLast())])),
                InMemoryProvider(name: "file", values: Self.values(of: layers[2])),
            ],
            accessReporter: winners
        )
    }

    /// The text of `setting`, of the first source that says something.
    func text(_ setting: Setting) -> (value: String, place: String)? {
        reader.string(forKey: ConfigKey(setting.path)).map { ($0, place(of: setting)) }
    }

    /// The number of `setting`, of the first source that says something.
    func number(_ setting: Setting) -> (value: Int, place: String)? {
        reader.int(forKey: ConfigKey(setting.path)).map { ($0, place(of: setting)) }
    }

    /// Where it is said what `setting` is, after the reader has found it.
    private func place(of setting: Setting) -> String {
        winners.layer(of: setting.key).flatMap { layers[$0][setting.key]?.place } ?? "?"
    }

    /// Takes out what cannot be, and says so.
    private static func removeWrong(from layer: inout [String: Said], _ problems: inout [String]) {
        for setting in Setting.all {
            guard let said = layer[setting.key],
                let objection = setting.objection(to: said.text) ?? said.text.flatMap(setting.obstacle)
            else { continue }
            problems.append("\(said.place): \(objection)")
            layer[setting.key] = nil
        }
    }

    /// The shares that a file which names both gives to one user of less than that.
    private static func shares(in file: [String: Said]) -> [String] {
        LimitSetting.all.compactMap { limit in
            guard let total = limit.total, let share = file[limit.setting.key], let whole = file[total.key],
                let shareNumber = share.text.flatMap({ Int($0) }), let wholeNumber = whole.text.flatMap({ Int($0) }),
                shareNumber > wholeNumber
            else { return nil }
            return limit.objection(at: share.place, total: total.key, wholeNumber)
        }
    }

    /// The variables that look like settings and are none.
    ///
    /// Other programs of this package have variables of their own, so only what is near to one of these, or among the limits.
    private static func unknownVariables(_ environment: Environment) -> [String] {
        let known = Setting.all.map(\.variable)
        let limits = Setting.variablePrefix + LimitSetting.group.uppercased()
        return environment.variables.keys.sorted().compactMap { name in
            guard name.hasPrefix(Setting.variablePrefix), !known.contains(name) else { return nil }
            let meant = Likeness.nearest(to: name, among: known)
            guard meant != nil || name.hasPrefix(limits) else { return nil }
            let choice = meant.map { "did you mean $\($0)?" } ?? "known are \(known.joined(separator: ", "))"
            return "$\(name): no setting has this variable; \(choice)"
        }
    }

    private static func texts(of layer: [String: Said]) -> [String: String] {
        var texts: [String: String] = [:]
        for setting in Setting.all { texts[setting.variable] = layer[setting.key]?.text }
        return texts
    }

    private static func values(of layer: [String: Said]) -> [AbsoluteConfigKey: ConfigValue] {
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        for setting in Setting.all {
            guard let text = layer[setting.key]?.text else { continue }
            let content: ConfigContent =
                switch setting.kind {
                case .path, .level, .idleTime: .string(text)
                case .number: Int(text).map(ConfigContent.int) ?? .string(text)
                }
            values[AbsoluteConfigKey(setting.path)] = ConfigValue(content, isSecret: false)
        }
        return values
    }
}

/// Remembers which layer each value has come from.
private final class Winners: AccessReporter {
    private let layers = Mutex<[String: Int]>([:])

    func layer(of key: String) -> Int? { layers.withLock { $0[key] } }

    func report(_ event: AccessEvent) {
        // The providers are asked in order, and no further than to the first that has a value.
        guard case .success(_?) = event.result else { return }
        layers.withLock { $0[event.metadata.key.components.joined(separator: ".")] = event.providerResults.count - 1 }
    }
}
