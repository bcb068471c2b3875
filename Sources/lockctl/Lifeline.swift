import CLinux
import Glibc

/// What the lease of a command is bound to, and what says that nothing of the command's process tree is left.
///
/// Two pipes, whose write ends the tree inherits. The first, which the lease is bound to, is open in this process as well: the lease outlives this process as
/// long as there is a tree, and while this process lives it ends by release, so that it counts as released. The second is open in the tree only.
struct Lifeline {
    /// What is sent to lockd.
    let leaseEnd: CInt
    /// Open in this process, and in the tree.
    let leaseHold: CInt
    /// Hung up, in the sense of poll(2), when nobody of the tree has ``treeHold`` open any more.
    let treeEnd: CInt
    private var treeHold: CInt

    init() throws {
        (leaseEnd, leaseHold) = try Self.makePipe()
        (treeEnd, treeHold) = try Self.makePipe()
    }

    private static func makePipe() throws -> (readEnd: CInt, writeEnd: CInt) {
        var ends: [CInt] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw SystemFailure("pipe2") }
        let high = clinux_duplicate_high(ends[1])
        guard high != -1 else { throw SystemFailure("fcntl") }
        close(ends[1])
        return (ends[0], high)
    }

    /// What the command inherits.
    var inherited: [CInt] { [leaseHold, treeHold] }

    /// Whether nobody of the tree has the pipe any more.
    var isTreeGone: Bool {
        var tree = pollfd(fd: treeEnd, events: 0, revents: 0)
        return poll(&tree, 1, 0) == 1
    }

    /// Gives the tree's pipe up to the tree, once that has it.
    mutating func leaveToTree() {
        close(treeHold)
        treeHold = -1
    }
}
