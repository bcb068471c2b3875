/// Finds the systemd unit of a process in what /proc/PID/cgroup says.
///
/// The same unit that sd_pid_get_user_unit(3) finds, or if there is none, sd_pid_get_unit(3).
enum UnitName {
    typealias Bytes = ArraySlice<UInt8>

    /// The unit that a file says, which may have been cut anywhere: its last line counts only if it is complete.
    ///
    /// Of cgroup v2 if that names one, else of systemd's own hierarchy of v1.
    static func unit(inControlGroups file: Bytes) -> Bytes? {
        var former: Bytes?
        var rest = file
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = rest[..<end]
            rest = rest[(end + 1)...]
            if line.starts(with: "0::".utf8) {
                if let unit = unit(ofPath: line.dropFirst(3)) { return unit }
            } else if let colon = line.firstIndex(of: UInt8(ascii: ":")) {
                let path = line[(colon + 1)...]
                let key = "name=systemd:".utf8
                if path.starts(with: key) { former = unit(ofPath: path.dropFirst(key.count)) }
            }
        }
        return former
    }

    /// The unit of a control group.
    static func unit(ofPath path: Bytes) -> Bytes? {
        var path = path
        // So the kernel marks a group that was removed, with a process that is about to end.
        let mark = " (deleted)".utf8
        if path.count >= mark.count, path.suffix(mark.count).elementsEqual(mark) { path = path.dropLast(mark.count) }
        var components = path.split(separator: UInt8(ascii: "/"))[...]
        // From inside of a cgroup namespace, what is outside begins so.
        while components.first?.elementsEqual("..".utf8) == true { components.removeFirst() }
        guard let unit = takeUnit(&components) else { return nil }
        guard isManagerOfUnits(unit) else { return unit }
        return takeUnit(&components) ?? unit
    }

    /// Takes the slices at the front and the unit behind them.
    ///
    /// What is behind the unit is its own business, and may look like anything.
    private static func takeUnit(_ components: inout ArraySlice<Bytes>) -> Bytes? {
        while let component = components.popFirst() {
            // What could be mistaken for a file of the kernel's has an underscore in front.
            let name = component.first == UInt8(ascii: "_") ? component.dropFirst() : component
            guard let dot = name.lastIndex(of: UInt8(ascii: ".")), isPlausible(name) else { return nil }
            switch String(decoding: name[(dot + 1)...], as: UTF8.self) {
            case "slice": continue
            case "service", "scope", "socket", "mount", "swap": return name
            default: return nil
            }
        }
        return nil
    }

    /// Whether a name has the characters and the length that systemd allows.
    private static func isPlausible(_ name: Bytes) -> Bool {
        guard name.count <= 255, let first = name.first, first != UInt8(ascii: "."), first != UInt8(ascii: "@") else {
            return false
        }
        return name.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "."), UInt8(ascii: "\\"), UInt8(ascii: "@"):
                true
            default: false
            }
        }
    }

    /// Whether units of a user are inside of a unit of the system: a systemd of his own, or a session.
    private static func isManagerOfUnits(_ unit: Bytes) -> Bool {
        let isService = unit.suffix(8).elementsEqual(".service".utf8)
        if isService { return unit.starts(with: "user@".utf8) || unit.starts(with: "capsule@".utf8) }
        return unit.starts(with: "session-".utf8)
    }
}
