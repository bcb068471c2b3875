import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl tree`: who waits for whom.
struct Tree: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tree",
        _superCommandName: Lockctl.name,
        abstract:
            "Show who waits for whom: each lock with its holders, and below them those who wait, with what they hold themselves.",
        discussion: Help.text(
            """
            A lock whose holders wait for another one stands below that; what those who wait hold is shown if somebody waits for it, or with --all. The listing that it is taken from is read in pages, so on a busy daemon it is as of several \
            instants.
            """,
            examples: [
                "lockctl tree": "all locks that somebody waits for",
                "lockctl tree --all reports/": "those whose names begin so, also if nobody waits",
            ]
        )
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
