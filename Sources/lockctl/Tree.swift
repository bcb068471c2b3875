import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl tree`: who waits for whom.
struct Tree: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Show who waits for whom: each lock with its holders, and below them those who wait, with what they hold themselves.",
        discussion: """
            A lock whose holders wait for another one stands below that; what those who wait hold is shown if somebody waits for it, or with --all. The listing that it is taken from is read in pages, so on a busy daemon it is as of several \
            instants.
            """
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "Also locks that nobody waits for.")
    var all = false

    @Flag(help: "One JSON array, an object for each lock that stands at the left, with what hangs below it.")
    var json = false

    @Argument(
        help: "Only what waits for locks whose names begin so.",
        completion: Completing.lockNames,
        transform: lockName
    )
    var prefix: LockName?

    func run() throws {
        try reportingFailures {
            let standing = Standing(try Listing(from: daemon.connect().connection) { .list(prefix: nil, $0) })
            let locks = Forest(standing, hasAll: all).locks(from: prefix)
            if json { return print(JSON.array(locks.map(\.json)).line) }
            if locks.isEmpty { print(all ? "nobody holds or waits for anything" : "nobody waits for anything") }
            for lock in locks { for line in lock.lines(with: .output) { print(line) } }
        }
    }
}

/// A lock, its holders, and those who wait for it with the locks that they hold.
struct LockTree {
    let name: LockName
    let leases: [Reply.LeaseLine]
    var waiters: [(line: Reply.WaiterLine, holds: [LockTree])] = []

    /// Made of it for programs: leases and waits as in a listing.
    var json: JSON {
        .object([
            ("name", .string(name.display)), ("name_escaped", .string(name.spelling)),
            ("leases", .array(leases.map(Listing.json))),
            (
                "waiters",
                .array(waiters.map { Listing.json($0.line, with: [("holds", .array($0.holds.map(\.json)))]) })
            ),
        ])
    }

    /// Drawn for people.
    func lines(with ink: Ink) -> [String] {
        let held = leases.map { lease in
            let note = lease.note.map { ": \($0.display)" } ?? ""
            let mode = Listing.words(lease.holderLimit)
            return ["\(ink("held", .good)) by \(lease.peer.display) for \(lease.held.display)\(mode)\(note)"]
        }
        let waiting = waiters.map { waiter, holds in
            let note = waiter.note.map { ": \($0.display)" } ?? ""
            let who = "#\(waiter.position) \(waiter.peer.display)"
            let line = "\(who) \(ink("waits", .warning)) for \(waiter.waited.display)\(note)"
            return [line] + Self.hanging(holds.map { $0.lines(with: ink) })
        }
        return [ink(name.display, .heading)] + Self.hanging(held + waiting)
    }

    /// The lines of what hangs below a line, one part after the other.
    private static func hanging(_ parts: [[String]]) -> [String] {
        parts.enumerated().flatMap { index, lines in
            let (first, rest) = index == parts.count - 1 ? ("└─ ", "   ") : ("├─ ", "│  ")
            return lines.enumerated().map { ($0 == 0 ? first : rest) + $1 }
        }
    }
}

/// The trees of all locks.
struct Forest {
    private let standing: Standing
    private let hasAll: Bool

    /// - Parameter hasAll: whether also locks are in it that nobody waits for.
    init(_ standing: Standing, hasAll: Bool) {
        self.standing = standing
        self.hasAll = hasAll
    }

    /// The locks that stand at the left, of those whose names begin with `prefix`.
    func locks(from prefix: LockName?) -> [LockTree] {
        let names = standing.names.filter { name in prefix.map { name.begins($0) } ?? true }
        var seen: Set<LockName> = []
        // First those that wait for nothing themselves, then what is left, as it is where some wait for each other.
        let roots = names.filter { !isBelow($0) } + names
        return roots.compactMap { tree(of: $0, depth: 0, &seen) }
    }

    /// Whether some holder of the lock waits for another one, so that it is shown there.
    private func isBelow(_ name: LockName) -> Bool {
        (standing.leases[name] ?? []).contains { !standing.waits(of: $0.peer).isEmpty }
    }

    /// The lock with all that waits for it; nothing if it was shown before, or has nobody that waits.
    ///
    /// What is deeper than ``deepest`` comes as a tree of its own, so that nobody can make this one as deep as there are locks.
    private func tree(of name: LockName, depth: Int, _ seen: inout Set<LockName>) -> LockTree? {
        if depth > Self.deepest { return nil }
        let waiters = standing.waiters[name] ?? []
        guard hasAll || !waiters.isEmpty, seen.insert(name).inserted else { return nil }
        var tree = LockTree(name: name, leases: standing.leases[name] ?? [])
        for waiter in waiters {
            let held = standing.leases(of: waiter.peer)
            tree.waiters.append((waiter, held.compactMap { self.tree(of: $0.name, depth: depth + 1, &seen) }))
        }
        return tree
    }

    private static let deepest = 20
}

extension LockName {
    /// Whether it begins with the bytes of `prefix`.
    fileprivate func begins(_ prefix: LockName) -> Bool { bytes.starts(with: prefix.bytes) }
}
