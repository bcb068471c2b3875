import LockdModel

/// A setting that bounds how much the daemon takes on.
struct LimitSetting {
    let setting: Setting
    let field: WritableKeyPath<Limits, Int>
    /// What all users together may have of what this one bounds for each of them.
    let total: (key: String, field: WritableKeyPath<Limits, Int>)?

    /// The name of what holds the limits in the configuration file.
    static let group = "limits"

    static var all: [LimitSetting] {
        let any = 1_000_000
        return [
            limit("sessions", \.sessions, 1...any),
            limit("sessions-per-user", \.sessionsPerUser, 1...any, of: ("sessions", \.sessions)),
            limit("reserved-sessions", \.reservedSessions, 0...any),
            limit("leases", \.leases, 1...any),
            limit("leases-per-user", \.leasesPerUser, 1...any, of: ("leases", \.leases)),
            limit("leases-per-session", \.leasesPerSession, 1...any),
            limit("waiters", \.waiters, 1...any),
            limit("waiters-per-user", \.waitersPerUser, 1...any, of: ("waiters", \.waiters)),
            limit("waiters-per-session", \.waitersPerSession, 1...Limits().endingsPerTurn),
            // At the least one request with all the names and texts that it can have.
            limit("bytes-per-user", \.bytesPerUser, 65_536...1 << 40),
        ]
    }

    /// That at `place` one user is given more than there is of it.
    func objection(at place: String, total: String, _ number: Int) -> String {
        "\(place): \(setting.key) must be no more than \(total), which is \(number)"
    }

    private static func limit(
        _ name: String,
        _ field: WritableKeyPath<Limits, Int>,
        _ range: ClosedRange<Int>,
        of total: (name: String, field: WritableKeyPath<Limits, Int>)? = nil
    ) -> LimitSetting {
        LimitSetting(
            setting: Setting(key: "\(group).\(name)", kind: .number(range)),
            field: field,
            total: total.map { ("\(group).\($0.name)", $0.field) }
        )
    }
}
