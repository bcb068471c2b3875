import LockdModel
import LockdWire

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
