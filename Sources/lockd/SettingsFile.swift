import LockdModel
import Logging
import Yams

/// The configuration file: YAML in which every key is known and every value is in its range.
///
/// A key that nobody reads is a setting that is not what its author thinks, so it is an error.
struct SettingsFile {
    private let path: String
    private let root: Node.Mapping
    private let limitNodes: Node.Mapping

    private typealias LimitKey = (name: String, field: WritableKeyPath<Limits, Int>, range: ClosedRange<Int>)

    private typealias ShareKey = (
        name: String, field: WritableKeyPath<Limits, Int>, total: (name: String, field: WritableKeyPath<Limits, Int>)
    )

    private static let keys = ["socket", "state-dir", "log-level", "exit-when-idle", "limits"]
    private static var limitKeys: [LimitKey] {
        let any = 1_000_000
        return [
            ("sessions", \.sessions, 1...any),
            ("sessions-per-user", \.sessionsPerUser, 1...any),
            ("reserved-sessions", \.reservedSessions, 0...any),
            ("leases", \.leases, 1...any),
            ("leases-per-user", \.leasesPerUser, 1...any),
            ("leases-per-session", \.leasesPerSession, 1...any),
            ("waiters", \.waiters, 1...any),
            ("waiters-per-user", \.waitersPerUser, 1...any),
            ("waiters-per-session", \.waitersPerSession, 1...Limits().endingsPerTurn),
            // At the least one request with all the names and texts that it can have.
            ("bytes-per-user", \.bytesPerUser, 65_536...1 << 40),
        ]
    }

    /// What one user may have of what there is.
    private static var shareKeys: [ShareKey] {
        [
            ("sessions-per-user", \.sessionsPerUser, ("sessions", \.sessions)),
            ("leases-per-user", \.leasesPerUser, ("leases", \.leases)),
            ("waiters-per-user", \.waitersPerUser, ("waiters", \.waiters)),
        ]
    }

    /// The file at `path`, or an empty one if there is no path.
    init(path: String?) throws {
        self.path = path ?? ""
        root = try path.map(Self.parse) ?? [:]
        let limits = root["limits"] ?? Node([(Node, Node)]())
        guard let limits = limits.mapping else {
            throw SettingsProblem("\(self.path): limits must be a list of lines like \"sessions: 100\"")
        }
        limitNodes = limits
        try checkKeys(of: root, known: Self.keys, prefix: "")
        try checkKeys(of: limitNodes, known: Self.limitKeys.map(\.name), prefix: "limits.")
    }

    /// The text of a top-level key.
    func string(_ key: String) throws -> String? {
        guard let node = root[key] else { return nil }
        guard let scalar = node.scalar, !scalar.string.isEmpty else {
            throw SettingsProblem("\(place(of: node)): \(key) must be one text")
        }
        return scalar.string
    }

    func logLevel() throws -> Logger.Level? {
        guard let name = try string("log-level") else { return nil }
        if let level = Logger.Level(rawValue: name) { return level }
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw SettingsProblem("\(root["log-level"].map(place) ?? path): log-level is \"\(name)\"; it can be \(levels)")
    }

    /// How long nobody may use the daemon before it ends.
    func exitWhenIdle() throws -> Milliseconds? {
        guard let text = try string("exit-when-idle") else { return nil }
        do {
            return try IdleTime.parse(text)
        } catch {
            throw SettingsProblem("\(root["exit-when-idle"].map(place) ?? path): \(error)")
        }
    }

    func limits() throws -> Limits {
        var limits = Limits()
        for (name, field, range) in Self.limitKeys {
            guard let node = limitNodes[name] else { continue }
            guard let value = node.scalar.flatMap({ Int($0.string) }), range.contains(value) else {
                throw SettingsProblem(
                    "\(place(of: node)): limits.\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound)"
                )
            }
            limits[keyPath: field] = value
        }
        for (name, field, total) in Self.shareKeys {
            let totalLimit = limits[keyPath: total.field]
            if let node = limitNodes[name], limits[keyPath: field] > totalLimit {
                throw SettingsProblem(
                    "\(place(of: node)): limits.\(name) must be no more than limits.\(total.name), which is \(totalLimit)"
                )
            }
        }
        return limits
    }

    private static func parse(_ path: String) throws -> Node.Mapping {
        do {
            guard let root = try Yams.compose(yaml: TextFile.read(path)) else { return [:] }
            guard let mapping = root.mapping else {
                throw SettingsProblem("\(path): expected lines like \"socket: /run/lockd/lockd.sock\"")
            }
            return mapping
        } catch let error as YamlError {
            throw SettingsProblem("\(path): \(error)")
        }
    }

    private func checkKeys(of mapping: Node.Mapping, known: [String], prefix: String) throws {
        for (key, _) in mapping {
            let name = key.scalar?.string ?? "?"
            guard known.contains(name) else {
                let choice = known.map { prefix + $0 }.joined(separator: ", ")
                throw SettingsProblem("\(place(of: key)): unknown key \"\(prefix)\(name)\"; known are \(choice)")
            }
        }
    }

    private func place(of node: Node) -> String {
        node.mark.map { "\(path):\($0.line)" } ?? path
    }
}
