import Glibc
import LockdModel

/// The process of a daemon that answers, as far as this machine shows it.
struct DaemonProcess {
    let number: ProcessID
    /// How it was started; `nil` if that cannot be seen, as of one in another pid namespace, or is not to be repeated, because it is the word of another user.
    ///
    /// Whoever listens at a socket says which process it is, and a process says what its command is. Root runs what root has started, and every user what he has.
    let command: [String]?
    private let user: uid_t?

    init(_ number: ProcessID) {
        self.number = number
        let bytes = RunningProcess.contents(of: "/proc/\(number)/cmdline")
        let words = bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        let command = words.map { String(decoding: $0, as: UTF8.self) }
        // A number of another namespace may be that of any process here.
        let isLockd = command.first?.split(separator: "/").last == "lockd"
        var status = stat()
        user = isLockd && stat("/proc/\(number)", &status) == 0 ? status.st_uid : nil
        self.command = user == getuid() || user == 0 ? command : nil
    }

    /// The one that has the right to the socket at `path`, whether it answers or not; `nil` if that cannot be seen.
    init?(serving path: String) {
        let line = String(
            decoding: RunningProcess.contents(of: path + ".lock").prefix { $0 != UInt8(ascii: "\n") },
            as: UTF8.self
        )
        guard let number = Int32(line) else { return nil }
        self.init(ProcessID(number))
        if command == nil { return nil }
    }

    /// What goes before a command that is about it.
    private var prefix: String { user == getuid() || getuid() == 0 ? "" : "sudo " }

    /// The configuration file that it was given.
    var configurationFile: String? {
        guard let command else { return nil }
        for (index, word) in command.enumerated() {
            let path = word == "--config" ? command.dropFirst(index + 1).first : nil
            // A path from where lockd was started leads nowhere from here.
            if let path = path ?? Self.value(of: word), path.hasPrefix("/") { return path }
        }
        return nil
    }

    private static func value(of word: String) -> String? {
        let option = "--config="
        return word.hasPrefix(option) ? String(word.dropFirst(option.count)) : nil
    }

    /// Has it read `file` again, once somebody has changed that.
    func editing(_ file: String) -> String {
        let edit = prefix.isEmpty ? "${EDITOR:-vi}" : "sudoedit"
        return "\(edit) \(file.shellWord) && \(prefix)kill -HUP \(number)"
    }

    /// Ends it and starts it anew, with `beginning` in front of the command.
    ///
    /// One that hangs does not hear that it is to end.
    func restarting(_ beginning: String = "", hangs: Bool = false, at path: String) -> String {
        guard let command else {
            return "have whoever started the daemon at \(Readable.text(path)) end it and start it again"
                + (beginning.isEmpty ? "" : ", as: \(beginning)lockd …")
        }
        let words = command.map(\.shellWord).joined(separator: " ")
        return "\(prefix)kill \(hangs ? "-KILL " : "")\(number), then: \(prefix)\(beginning)\(words)"
    }

    /// The lockctl of the directory that it was started from.
    var lockctl: String? {
        guard command != nil, let target = realpath("/proc/\(number)/exe", nil) else { return nil }
        defer { free(target) }
        let path = String(cString: target).split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/lockctl"
        return access(path, X_OK) == 0 ? path : nil
    }

    /// Whether more sessions than `limit` would take more descriptors than it may have.
    ///
    /// Two for each session; of the rest it keeps as much as it says in DescriptorBudget.
    func hasDescriptors(forMoreSessionsThan limit: Int) -> Bool {
        let text = String(decoding: RunningProcess.contents(of: "/proc/\(number)/limits"), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        guard let descriptors = line?.split(separator: " ").compactMap({ Int($0) }).first else { return true }
        let available = max(0, descriptors - 64)
        return (available - min(4096, available / 4) - min(2048, available / 8)) / 2 > limit
    }
}
