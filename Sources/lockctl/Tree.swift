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

    @Argument(
        help: "Only what waits for locks whose names begin so.",
        completion: Completing.lockNames,
        transform: lockName
    )
    var prefix: LockName?

    func run() throws {
        try reportingFailures {
            let standing = Standing(try Listing(from: daemon.connect().connection) { .list(prefix: nil, $0) })
            let lines = TreeDrawing(standing, showsAll: all, ink: .output).lines(from: prefix)
            if lines.isEmpty { print(all ? "nobody holds or waits for anything" : "nobody waits for anything") }
            lines.forEach { print($0) }
        }
    }
}

/// The lines of a tree.
struct TreeDrawing {
    private let standing: Standing
    private let showsAll: Bool
    private let ink: Ink

    init(_ standing: Standing, showsAll: Bool, ink: Ink) {
        self.standing = standing
        self.showsAll = showsAll
        self.ink = ink
    }

    /// What hangs below a line.
    private struct Node {
        let text: String
        var children: [Node] = []
    }

    func lines(from prefix: LockName?) -> [String] {
        let names = standing.names.filter { name in prefix.map { name.begins($0) } ?? true }
        var seen: Set<LockName> = []
        // First those that wait for nothing themselves, then what is left, as it is where some wait for each other.
        let roots = names.filter { !isBelow($0) } + names
        var lines: [String] = []
        for root in roots {
            if let node = node(of: root, depth: 0, &seen) { draw(node, "", "", &lines) }
        }
        return lines
    }

    /// Whether some holder of the lock waits for another one, so that it is shown there.
    private func isBelow(_ name: LockName) -> Bool {
        (standing.leases[name] ?? []).contains { !standing.waits(of: $0.peer).isEmpty }
    }

    /// The lock with all that waits for it; nothing if it was shown before, or has nobody that waits.
    ///
    /// What is deeper than ``deepest`` comes as a tree of its own, so that nobody can make this one as deep as there are locks.
    private func node(of name: LockName, depth: Int, _ seen: inout Set<LockName>) -> Node? {
        if depth > Self.deepest { return nil }
        let waiters = standing.waiters[name] ?? []
        guard showsAll || !waiters.isEmpty, seen.insert(name).inserted else { return nil }
        var node = Node(text: ink(name.display, .heading))
        for lease in standing.leases[name] ?? [] {
            let note = lease.note.map { ": \($0.display)" } ?? ""
            let mode = Listing.words(lease.holderLimit)
            node.children.append(
                Node(text: "\(ink("held", .good)) by \(lease.peer.display) for \(lease.held.display)\(mode)\(note)")
            )
        }
        for waiter in waiters {
            let note = waiter.note.map { ": \($0.display)" } ?? ""
            var child = Node(
                text:
                    "#\(waiter.position) \(waiter.peer.display) \(ink("waits", .warning)) for \(waiter.waited.display)\(note)"
            )
            for lease in standing.leases(of: waiter.peer) {
                if let held = self.node(of: lease.name, depth: depth + 1, &seen) { child.children.append(held) }
            }
            node.children.append(child)
        }
        return node
    }

    private static let deepest = 20

    private func draw(_ node: Node, _ first: String, _ rest: String, _ lines: inout [String]) {
        lines.append(first + node.text)
        for (index, child) in node.children.enumerated() {
            let isLast = index == node.children.count - 1
            draw(child, rest + (isLast ? "└─ " : "├─ "), rest + (isLast ? "   " : "│  "), &lines)
        }
    }
}

extension LockName {
    /// Whether it begins with the bytes of `prefix`.
    fileprivate func begins(_ prefix: LockName) -> Bool { bytes.starts(with: prefix.bytes) }
}
