import LockdModel

/// One message to systemd's service manager: lines `KEY=value`, as sd_notify(3) lists them, and descriptors that go along.
struct Notice: Hashable {
    private(set) var text: String
    var descriptors: [CInt] = []

    /// How much of a status is told: systemd ignores messages of more than 4096 bytes.
    static let statusByteCount = 1024

    private init(_ assignments: String..., status: String? = nil) {
        text = assignments.joined(separator: "\n")
        if let status { text += (text.isEmpty ? "" : "\n") + "STATUS=" + Self.oneLine(status) }
    }

    /// Starting up, or reloading, is over.
    static func ready(status: String) -> Self { Self("READY=1", status: status) }

    /// What is going on, for people.
    static func status(_ status: String) -> Self { Self(status: status) }

    /// Reloading has begun at `instant`, by which systemd tells it from what was requested later.
    static func reloading(at instant: MonotonicInstant) -> Self {
        Self("RELOADING=1", "MONOTONIC_USEC=\(instant.nanoseconds / 1000)")
    }

    static func stopping(status: String) -> Self { Self("STOPPING=1", status: status) }

    static func extendTimeout(by length: Milliseconds) -> Self { Self("EXTEND_TIMEOUT_USEC=\(length.count * 1000)") }

    static let keepAlive = Self("WATCHDOG=1")

    static func store(_ descriptors: some Sequence<CInt>, as name: String) -> Self {
        requireName(name)
        // systemd would otherwise drop one that hangs up, as one end of a socket pair does whose other end is closed.
        var notice = Self("FDSTORE=1", "FDNAME=\(name)", "FDPOLL=0")
        notice.descriptors = Array(descriptors)
        return notice
    }

    static func removeStored(_ name: String) -> Self {
        requireName(name)
        return Self("FDSTOREREMOVE=1", "FDNAME=\(name)")
    }

    static func barrier(_ writeEnd: CInt) -> Self {
        var notice = Self("BARRIER=1")
        notice.descriptors = [writeEnd]
        return notice
    }

    private static func requireName(_ name: String) {
        let isValid = name.utf8.count <= 255 && name.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ":") }
        precondition(isValid && !name.isEmpty, "systemd takes no descriptors under the name \"\(name)\"")
    }

    /// A line that cannot be taken for several.
    private static func oneLine(_ status: String) -> String {
        var line = String.UnicodeScalarView()
        var byteCount = 0
        for scalar in status.unicodeScalars {
            byteCount += UTF8.width(scalar)
            if byteCount > statusByteCount { break }
            line.append(scalar.value < 32 || scalar.value == 127 ? " " : scalar)
        }
        return String(line)
    }
}
