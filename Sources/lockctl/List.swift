import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl ls`: who holds what, who waits.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        _superCommandName: Lockctl.name,
        abstract: "List leases and the requests that wait for them.",
        discussion: Help.text(
            """
            On a terminal that is too narrow for all columns, those that matter least are left out, and what is too long nevertheless is cut off. The columns \
            are those of the table's first line, in small letters.
            """,
            examples: [
                "lockctl ls": "all that is held or waited for",
                "lockctl ls reports/": "of the locks whose names begin so",
                "lockctl ls --of root --sort for": "those first that are held the longest",
                "lockctl ls --columns name,pid,command": "some columns only",
                "lockctl ls --json-lines | jq .name": "for programs",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Flag(help: "One JSON array, an object for each lease and each waiting request.")
    var json = false

    @Flag(help: "The same objects, one on each line.")
    var jsonLines = false

    @Option(
        help: ArgumentHelp("Only those of this user's processes: a name or a number.", valueName: "user"),
        completion: Completing.users
    )
    var of: String?

    @Option(
        help: ArgumentHelp("Only those of this systemd unit's processes.", valueName: "unit"),
        completion: Completing.units
    )
    var unit: String?

    @Option(help: "By name (default), by how long (for), or by how many wait (waiters).")
    var sort = Ranking.Order.name

    @Option(
        help: ArgumentHelp("Only these columns, in this order: name,pid,for.", valueName: "columns"),
        completion: Completing.columns,
        transform: { $0.split(separator: ",", omittingEmptySubsequences: false).map { $0.uppercased() } }
    )
    var columns: [String] = []

    @Flag(help: "All columns and whole lines, also where they are wider than the terminal.")
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
            if json || jsonLines { try writeObjects() } else { try writeTable() }
        }
    }

    /// Hands each line that is asked for to `body`, and returns the order in which they are to be shown.
    private func read(_ body: (Reply.ListingLine) -> Void) throws -> [Int] {
        let user = of.flatMap { Users.number(of: $0) }
        var ranking = Ranking(by: sort)
        try Listing.read(from: daemon.connect().connection, { .list(prefix: prefix, $0) }) { line in
            guard user == nil || line.peer.user == user, unit == nil || line.peer.unit?.display == unit else { return }
            ranking.add(line)
            body(line)
        }
        return ranking.places()
    }

    private func writeObjects() throws {
        var objects = Pieces()
        let places = try read { line in
            objects.add { $0.writeObject { Listing.add(line, to: &$0) } }
        }
        var output = Output(to: STDOUT_FILENO)
        if json { try output.add { $0.write("[") } }
        for (index, place) in places.enumerated() {
            try output.add { bytes in
                if json && index > 0 { bytes.write(",") }
                objects.write(place, to: &bytes)
                if jsonLines { bytes.write("\n") }
            }
        }
        if json { try output.add { $0.write("]\n") } }
        try output.end()
    }

    private func writeTable() throws {
        var table = Listing.emptyTable
        let places = try read { Listing.append($0, to: &table) }
        let width = wide ? nil : Terminal.columns(of: STDOUT_FILENO)
        if columns.isEmpty { table.hide(empty: Listing.optional) } else { table.show(only: columns) }
        if columns.isEmpty, let width { table.fit(width, leavingOut: Listing.expendable) }
        let ink = Ink.output
        var output = Output(to: STDOUT_FILENO)
        // The first line is the header.
        for index in [0] + places.map({ $0 + 1 }) {
            try output.add { bytes in
                if width == nil && !ink.isColoured {
                    table.write(line: index, to: &bytes)
                } else {
                    let line = table.inkedLine(index)
                    bytes.write(text: (width.map { line.cut(columns: $0 + 1) } ?? line).written(with: ink))
                }
                bytes.write("\n")
            }
        }
        try output.end()
    }
}

extension Ranking.Order: ExpressibleByArgument {}
