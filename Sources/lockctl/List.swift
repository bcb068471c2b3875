import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl ls`: who holds what, who waits.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List leases and the requests that wait for them.",
        discussion:
            "On a terminal, lines are cut at its width. The columns are those of the table's first line, in small letters."
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON array, an object for each lease and each waiting request.")
    var json = false

    @Flag(help: "The same objects, one on each line.")
    var jsonLines = false

    @Option(help: ArgumentHelp("Only those of this user's processes: a name or a number.", valueName: "user"))
    var of: String?

    @Option(help: ArgumentHelp("Only those of this systemd unit's processes.", valueName: "unit"))
    var unit: String?

    @Option(help: "By name (default), by how long (for), or by how many wait (waiters).")
    var sort = Listing.Order.name

    @Option(
        help: ArgumentHelp("Only these columns, in this order: name,pid,for.", valueName: "columns"),
        transform: { $0.split(separator: ",", omittingEmptySubsequences: false).map { $0.uppercased() } }
    )
    var columns: [String] = []

    @Flag(help: "Whole lines, also where they are wider than the terminal.")
    var wide = false

    @Argument(help: "Only locks whose names begin so.", completion: Completing.lockNames, transform: lockName)
    var prefix: LockName?

    func validate() throws {
        if json && jsonLines { throw ValidationError("--json and --json-lines exclude each other") }
        for column in columns where !Listing.header.contains(column) {
            let known = Listing.header.map { $0.lowercased() }.joined(separator: ", ")
            throw ValidationError("there is no column \"\(column.lowercased())\"; there are \(known)")
        }
        if let of, Users.number(of: of) == nil { throw ValidationError("there is no user \"\(Readable.text(of))\"") }
    }

    func run() throws {
        try reportingFailures {
            var listing = try Listing(from: daemon.connect().connection) { .list(prefix: prefix, $0) }
            let user = of.flatMap { Users.number(of: $0) }
            listing.filter { line in
                (user == nil || line.peer.user == user) && (unit == nil || line.peer.unit?.display == unit)
            }
            listing.sort(by: sort)
            if json { return print(JSON.array(listing.objects).line) }
            if jsonLines { return listing.objects.forEach { print($0.line) } }
            let table = columns.isEmpty ? listing.table.without(empty: ["UNIT", "NAMES"]) : listing.table.only(columns)
            let width = wide ? nil : Terminal.columns(of: STDOUT_FILENO)
            let ink = Ink.output
            for line in table.inkedLines { print((width.map { line.cut(columns: $0 + 1) } ?? line).written(with: ink)) }
        }
    }
}

extension Listing.Order: ExpressibleByArgument {}
