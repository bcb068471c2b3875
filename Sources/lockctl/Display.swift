import Glibc
import LockdModel
import LockdWire

extension LockName {
    /// The name as a person reads it: printable UTF-8 as it is, everything else escaped as on the wire, so that no stranger's bytes steer a terminal.
    var display: String { Readable.text(bytes) }
}

extension Text {
    /// The text as a person reads it.
    var display: String { Readable.text(bytes) }
}

extension Readable {
    /// The same of what was given as an argument.
    static func text(_ argument: String) -> String { text(RawText.bytes(of: argument)) }
}

/// Lengths of time as people say them.
extension Milliseconds {
    /// Two units at the most: `0.3 s`, `12 s`, `3 min 12 s`, `2 h 5 min`, `4 d 1 h`.
    var display: String {
        let seconds = count / 1000
        if seconds < 10 { return "\(seconds).\(count % 1000 / 100) s" }
        let units: [(String, Int64)] = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)]
        var rest = seconds
        var parts: [String] = []
        for (unit, length) in units where rest >= length || !parts.isEmpty {
            if parts.count == 2 { break }
            if rest / length > 0 { parts.append("\(rest / length) \(unit)") }
            if parts.count == 1 && rest / length == 0 { break }
            rest %= length
        }
        return parts.joined(separator: " ")
    }
}

/// Names of users.
enum Users {
    /// The name of a user, or the number if it has none.
    static func name(of user: UserID) -> String {
        guard let entry = getpwuid(user.value) else { return "\(user)" }
        return Readable.text(Array(String(cString: entry.pointee.pw_name).utf8))
    }

    /// The number of a user who is named, or whose number that is.
    static func number(of user: String) -> UserID? {
        if let entry = getpwnam(user) { return UserID(entry.pointee.pw_uid) }
        return UInt32(user).map { UserID($0) }
    }
}

extension Reply.Holder {
    /// Who it is, for a sentence: `gunicorn (pid 4121, user web) for 3 min 12 s`.
    var display: String {
        "\(peer.display) for \(held.display)"
    }
}

extension Reply.Peer {
    /// Who it is, for a sentence: `gunicorn (pid 4121, user web, web.service)`.
    var display: String {
        let details = [
            process.map { $0.value == 0 ? "a pid of another namespace" : "pid \($0)" },
            user.map { "user \(Users.name(of: $0))" },
            unit?.display,
        ].compactMap { $0 }
        let name = command?.display ?? "a process"
        return details.isEmpty ? name : "\(name) (\(details.joined(separator: ", ")))"
    }
}
