import LockdModel
import LockdWire

/// How long nobody may use the daemon before it ends by itself, as a setting spells it.
struct IdleTime {
    /// `nil` if it does not end by itself.
    let limit: Milliseconds?

    /// Less than a second would be no pause, and more than a year no end.
    private static let range = Milliseconds.seconds(1)...Milliseconds.maximum

    /// What one source says to overrule another that names a time.
    private static let never = "never"

    /// What can be written.
    static let choice = "a time from 1s to 366d, like 30s, 10m or 2h, or \(never)"

    /// The time in words like `30s`, `10m` or, as systemd's own settings spell it, `10min`; or `never`.
    init?(_ text: String) {
        if text == Self.never {
            limit = nil
            return
        }
        var spelling = text.hasSuffix("min") ? String(text.dropLast(2)) : text
        let time = spelling.withUTF8 { Milliseconds(spelling: UnsafeRawBufferPointer($0)) }
        guard let time, Self.range.contains(time) else { return nil }
        limit = time
    }

    /// How a setting spells `limit`.
    static func spelling(_ limit: Milliseconds?) -> String { limit.map { "\($0)" } ?? never }
}
