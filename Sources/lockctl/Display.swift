import Glibc
import LockdModel
import LockdWire
import Synchronization

extension LockName {
    /// The name as a person reads it: printable UTF-8 as it is, everything else escaped as on the wire, so that no stranger's bytes steer a terminal.
    var display: String { Readable.text(canonical: spelling) { bytes } }
}

extension Text {
    /// The text as a person reads it.
    var display: String { Readable.text(canonical: spelling) { bytes } }
}

extension Readable {
    /// The bytes as they are shown whose canonical spelling is known: that itself, where nothing in it is escaped, as in nearly all of them.
    static func text(canonical spelling: String, _ bytes: () -> [UInt8]) -> String {
        spelling.utf8.contains(UInt8(ascii: "%")) ? text(bytes()) : spelling
    }

    /// The same of what was given as an argument.
    static func text(_ argument: String) -> String { text(RawText.bytes(of: argument)) }
}

/// Lengths of time as people say them.
extension Milliseconds {
    /// Two units at the most: `0.3 s`, `12 s`, `3 min 12 s`, `2 h 5 min`, `4 d 1 h`.
    var display: String {
        var bytes = ByteBuffer()
        bytes.write(self)
        return bytes.text(0..<bytes.count)
    }
}

extension ByteBuffer {
    /// Appends a length of time as ``Milliseconds/display`` has it.
    mutating func write(_ duration: Milliseconds) {
        let seconds = duration.count / 1000
        if seconds < 10 {
            write(seconds)
            write(".")
            write(duration.count % 1000 / 100)
            return write(" s")
        }
        if seconds >= 86_400 { return write(seconds, 86_400, " d", 3600, " h") }
        if seconds >= 3600 { return write(seconds, 3600, " h", 60, " min") }
        if seconds >= 60 { return write(seconds, 60, " min", 1, " s") }
        write(seconds)
        write(" s")
    }

    /// Appends how many of the large unit there are and, if it is not none, how many of the small one besides.
    private mutating func write(
        _ seconds: Int64,
        _ large: Int64,
        _ largeUnit: StaticString,
        _ small: Int64,
        _ smallUnit: StaticString
    ) {
        write(seconds / large)
        write(largeUnit)
        let rest = seconds % large / small
        if rest == 0 { return }
        write(" ")
        write(rest)
        write(smallUnit)
    }
}

/// An amount of memory.
struct Bytes {
    private let count: Int64

    init(_ count: some BinaryInteger) { self.count = Int64(count) }

    /// In the largest unit of which there is one at least: `120 bytes`, `1.5 KiB`, `64 MiB`, `1 GiB`.
    var display: String {
        if count < 1024 { return count == 1 ? "1 byte" : "\(count) bytes" }
        var (unit, rest) = (Int64(1024), ["MiB", "GiB", "TiB"][...])
        var name = "KiB"
        while count / unit >= 1024, let next = rest.popFirst() { (unit, name) = (unit * 1024, next) }
        let tenths = count % unit * 10 / unit
        return "\(count / unit)\(tenths == 0 ? "" : ".\(tenths)") \(name)"
    }
}

/// Names of users.
enum Users {
    /// The name of a user, or the number if it has none.
    ///
    /// The system is asked once for each user, because it looks through a file for it, or asks a server.
    static func name(of user: UserID) -> String {
        names.withLock { names in
            if let name = names[user] { return name }
            let name = lookUp(user)
            names[user] = name
            return name
        }
    }

    private static let names = Mutex<[UserID: String]>([:])

    private static func lookUp(_ user: UserID) -> String {
        guard let entry = getpwuid(user.value) else { return "\(user)" }
        return Readable.text(Array(String(cString: entry.pointee.pw_name).utf8))
    }

    /// The names of all whom the system lists.
    static var all: [String] {
        setpwent()
        defer { endpwent() }
        var names: [String] = []
        while let entry = getpwent() { names.append(String(cString: entry.pointee.pw_name)) }
        return names
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

    /// The same without user and unit.
    var briefly: String {
        Reply.Peer(session: nil, process: process, user: nil, command: command).display
    }
}
