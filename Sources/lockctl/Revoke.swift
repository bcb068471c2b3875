import ArgumentParser
import LockdClient
import LockdModel
import LockdWire

/// `lockctl revoke`: take a lease from its holder.
struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Take a lease from its holder, who is told so.",
        discussion: """
            Whoever revokes a lease says that its holder may be interrupted at any point: the holder goes on until it notices. For the holder's own \
            user and root. Exits with 1 if nobody holds the name, 77 if it is somebody else's.
            """
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(help: ArgumentHelp("Only the lease with this token.", valueName: "number"))
    var token: UInt64?

    @Option(help: ArgumentHelp("Tell the holder why (at most \(Text.longLimit) bytes).", valueName: "text"))
    var reason: String?

    @Argument(help: "The lock.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func validate() throws {
        if let reason, !(1...Text.longLimit).contains(reason.utf8.count) {
            throw ValidationError("a reason has 1 to \(Text.longLimit) bytes; this one has \(reason.utf8.count)")
        }
    }

    func run() throws {
        try reportingFailures {
            let reason = reason.flatMap { Text(cutting: $0, limit: Text.longLimit) }
            let request = Request.revoke(name, token: token.map(FencingToken.init), reason: reason)
            switch try daemon.connect().connection.ask(request) {
            case .revoked(let names, let token):
                print("revoked the lease on \(names.display), token \(token)")
            case .notHeld:
                complain("nobody holds \(name.display)" + (token.map { " with token \($0)" } ?? ""))
                throw Ending.nothingThere
            case .denied(_, _, let holder):
                complain(
                    "\(name.display) is held by user \(Users.name(of: holder)); only that user and root may revoke it"
                )
                throw Ending.denied
            case .error(let error): throw Refused(error)
            case let reply: throw Unexpected(reply)
            }
        }
    }
}
