import LockdModel
import LockdWire

/// How long nobody may use the daemon before it ends by itself, as a setting spells it.
enum IdleTime {
    /// Less than a second would be no pause, and more than a year no end.
    private static let range = Milliseconds.seconds(1)...Milliseconds.maximum

    /// The time in words like `30s`, `10m` or, as systemd's own settings spell it, `10min`.
    ///
    /// - Throws: ``SettingsProblem`` that says what can be written.
    static func parse(_ text: String) throws -> Milliseconds {
        var spelling = text.hasSuffix("min") ? String(text.dropLast(2)) : text
        let time = spelling.withUTF8 { Milliseconds(spelling: UnsafeRawBufferPointer($0)) }
        guard let time, range.contains(time) else {
            throw SettingsProblem("exit-when-idle must be a time from 1s to 366d, like 30s, 10m or 2h")
        }
        return time
    }
}
