import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl show`: everything about one lock.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        _superCommandName: Lockctl.name,
        abstract: "Show who holds a lock, and who waits for it in which order.",
        discussion: Help.text(
            examples: [
                "lockctl show reports/nightly": "the holder, and the queue",
                "lockctl show --json reports/nightly": "for programs",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON array, an object for the lease and each waiting request; empty if the lock is free.")
    var json = false

    @Argument(help: "The lock.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func run() throws {
        try reportingFailures {
            let (connection, welcome, _) = try daemon.connect()
            let listing = try Listing(from: connection) { .show(name, $0) }
            if json { return print(listing.json.line) }
            if listing.lines.isEmpty { print("\(name.display) is \(ink("free", .good))") }
            if case .waiter? = listing.lines.first { print("\(name.display) is held by nobody, and waited for") }
            var workers = Workers(daemon: welcome.process)
            for line in listing.lines {
                switch line {
                case .lease(let lease): describe(lease, workers.crew(of: lease))
                case .waiter(let waiter): describe(waiter)
                }
            }
        }
    }

    private var ink: Ink { .output }

    private func describe(_ lease: Reply.LeaseLine, _ crew: Workers.Crew?) {
        print("\(lease.name.display) is \(ink("held", .good)) by \(lease.peer.display) for \(lease.held.display)")
        print("  token    \(lease.token)")
        if lease.holderLimit != .exclusive { print("  mode     \(Listing.words(lease.holderLimit).dropFirst(2))") }
        if let timeToLive = lease.timeToLive {
            print("  ttl      \(timeToLive.display), \(lease.left?.display ?? "?") left")
        }
        if lease.nameCount > 1 { print("  names    \(lease.nameCount), held together") }
        if lease.binding != nil { print("  bound    \(Listing.words(lease.binding).dropFirst(", bound ".count))") }
        if let processes = crew?.display { print("  at work  \(processes)") }
        if crew?.isHolderGone == true {
            print(
                "  \(ink("gone", .wrong))     the process that acquired it; something that it has started holds the lease still"
            )
        }
        if let detached = lease.detached {
            print(
                "  \(ink("detached", .wrong)) \(detached.display) ago: it has no connection, and holds the lease still"
            )
        }
        if let owner = lease.owner { print("  owner    \(owner.display)") }
        if let client = lease.client { print("  client   \(client.display)") }
        if let note = lease.note { print("  note     \(note.display)") }
        print("  waiters  \(lease.waiterCount)")
    }

    private func describe(_ waiter: Reply.WaiterLine) {
        let left = waiter.left.map { ", \($0.display) left" } ?? ""
        let note = waiter.note.map { ": \($0.display)" } ?? ""
        let names =
            waiter.nameCount > 1
            ? ", with \(waiter.nameCount == 2 ? "another name" : "\(waiter.nameCount - 1) other names")" : ""
        let mode = Listing.words(waiter.holderLimit) + Listing.words(detached: waiter.detached)
        print(
            "  #\(waiter.position) \(waiter.peer.display) \(ink("waits", .warning)) for \(waiter.waited.display)\(left)\(mode)\(names)\(note)"
        )
    }
}
