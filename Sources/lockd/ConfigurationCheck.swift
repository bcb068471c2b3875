import LockdModel

/// What `lockd --check-config` says: what would be in force, and where that is said.
///
/// Nothing is changed, and no daemon disturbed.
struct ConfigurationCheck {
    let settings: Settings
    private let remarks: [String]

    /// - Throws: ``SettingsProblem`` with all that is wrong.
    init(_ request: Settings.Request) throws {
        var request = request
        request.isOnlyChecked = true
        settings = try Settings(request)
        let noFile = "no file was read: --config names one, and lockd.service reads /etc/lockd/lockd.conf"
        remarks = settings.remarks + (request.file == nil ? [noFile] : [])
    }

    /// One line for each setting: `limits.sessions: 20000   (/etc/lockd/lockd.conf:3)`.
    var lines: [String] {
        let lines = Setting.all.map { setting in
            (
                "\(setting.key): \(Readable.text(settings.spelling(of: setting)))",
                settings.places[setting.key] ?? "default"
            )
        }
        let width = lines.map(\.0.count).max() ?? 0
        return lines.map { text, place in
            text + String(repeating: " ", count: width - text.count) + "   (\(place))"
        }
    }

    /// What somebody who checks should know besides.
    var notes: [String] { remarks.map { "note: \($0)" } }
}
