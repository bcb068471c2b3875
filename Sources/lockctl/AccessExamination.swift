import Glibc
import LockdModel

/// Whether this user may connect to a socket, and if not, what changes that.
struct AccessExamination {
    let path: String
    private let user = Users.name(of: UserID(getuid()))

    init(path: String) { self.path = path }

    /// The group that owns the socket of a package, where there is one.
    private static let packageGroup = "lockd"

    private struct Group {
        let name: String
        let number: gid_t
        let members: [String]

        init?(_ entry: UnsafeMutablePointer<group>?) {
            guard let entry = entry?.pointee else { return nil }
            name = String(cString: entry.gr_name)
            number = entry.gr_gid
            var members: [String] = []
            var next = entry.gr_mem
            while let pointer = next, let member = pointer.pointee {
                members.append(String(cString: member))
                next = pointer + 1
            }
            self.members = members
        }

        /// Whether the processes of this login are of the group.
        var isOfThisLogin: Bool {
            var numbers = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
            let count = getgroups(CInt(numbers.count), &numbers)
            return getegid() == number || numbers.prefix(Int(max(0, count))).contains(number)
        }

        /// Whether the processes of the next login are, unless something is done.
        func has(_ user: String) -> Bool {
            members.contains(user) || getpwuid(getuid())?.pointee.pw_gid == number
        }
    }

    func finding() -> Finding {
        if access(path, W_OK) == 0 { return Finding("access", .good, "this user may connect") }
        var status = stat()
        guard stat(path, &status) == 0 else {
            return Finding("access", .wrong, "\(user) may not connect: \(String(cString: strerror(errno)))")
        }
        // To be of the group of root is more than to use lockd.
        let group = status.st_gid == 0 ? nil : Group(getgrgid(status.st_gid))
        if status.st_uid != getuid(), status.st_mode & S_IWGRP != 0, let group, !group.isOfThisLogin {
            return outsider(of: group)
        }
        let owner = Users.name(of: UserID(status.st_uid))
        let mode = String(status.st_mode & 0o7777, radix: 8)
        let zeros = String(repeating: "0", count: max(0, 4 - mode.count))
        return Finding(
            "access",
            .wrong,
            "\(user) may not connect: the socket is of \(owner), with mode \(zeros)\(mode)",
            remedy: opening(status, group)
        )
    }

    /// What is so with a socket that is open to a group that this login is not of.
    private func outsider(of group: Group) -> Finding {
        if group.has(user) {
            let text = "\(user) is in the group \(group.name), but this login is older than that"
            return Finding("access", .wrong, text, remedy: "log out and in again, or: newgrp \(group.name)")
        }
        let text = "\(user) may not connect: the socket is for root and the group \(group.name)"
        return Finding("access", .wrong, text, remedy: joining(group) + Self.login)
    }

    private static let login = ", then log in again"

    private func joining(_ group: Group) -> String {
        "sudo usermod --append --groups \(group.name.shellWord) \(user.shellWord)"
    }

    /// What opens a socket to this user whose mode is in the way, by the group if it is somebody else's.
    private func opening(_ status: stat, _ group: Group?) -> String? {
        if status.st_uid == getuid() { return "chmod u+rw \(path.shellWord)" }
        guard let given = group ?? Group(getgrnam(Self.packageGroup)) ?? Group(getgrgid(getgid())) else { return nil }
        var commands: [String] = []
        if given.number != status.st_gid { commands.append("sudo chgrp \(given.name.shellWord) \(path.shellWord)") }
        commands.append("sudo chmod g+rw \(path.shellWord)")
        if !given.has(user), !given.isOfThisLogin { commands.append(joining(given)) }
        return commands.joined(separator: " && ") + (given.isOfThisLogin ? "" : Self.login)
    }
}
