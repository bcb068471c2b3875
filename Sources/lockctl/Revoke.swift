import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl revoke`: take a lease from its holder.
struct Revoke: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        _superCommandName: Lockctl.name,
        abstract: "Take a lease from its holder, who is told so.",
        discussion: Help.text(
            """
            Whoever revokes a lease says that its holder may be interrupted at any point: the holder goes on until it notices. For the holder's own \
            user and root. On a terminal it shows first whom that hits, and asks; what is revoked then is what was shown, and nothing that came in its place \
            meanwhile. Of several holders it is the one that was granted first. Exits with 1 if nobody holds the name, or if the answer was no, 77 if it is \
            somebody else's.
            """,
            examples: [
                "lockctl revoke --dry-run reports/nightly": "what it would hit",
                "lockctl revoke reports/nightly --reason 'hangs'": "asks on a terminal",
                "lockctl revoke --yes reports/nightly": "does not ask",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(help: ArgumentHelp("Only the lease with this token.", valueName: "number"))
    var token: UInt64?

    @Option(help: ArgumentHelp("Tell the holder why (at most \(Text.longLimit) bytes).", valueName: "text"))
    var reason: String?

    @Flag(name: .shortAndLong, help: "Do not ask. Without a terminal nobody is asked anyhow.")
    var yes = false

    @Flag(help: "Show what would be revoked, and whom that hits, and do nothing.")
    var dryRun = false

    @Argument(help: "The lock.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func validate() throws {
        if let count = reason.map({ RawText.bytes(of: $0).count }), !(1...Text.longLimit).contains(count) {
            throw ValidationError("a reason has 1 to \(Text.longLimit) bytes; this one has \(count)")
        }
        if yes, dryRun { throw ValidationError("--yes revokes without a question, and --dry-run does not revoke") }
    }

    func run() throws {
        try reportingFailures {
            let given = token.map { FencingToken($0) }
            if dryRun {
                for sentence in try revocation(of: given).sentences(at: .now()) { print(sentence) }
                return
            }
            if yes || isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0 { return try revoke(given) }
            let revocation = try revocation(of: given)
            for sentence in revocation.sentences(at: .now()) { try say(sentence + "\n") }
            try say("Revoke it? [y/N] ")
            guard ["y", "yes"].contains(readLine()?.lowercased()) else {
                complain("nothing is revoked")
                throw Ending.nothingThere
            }
            try revoke(revocation.lease.token, wasShown: true)
        }
    }

    private func say(_ text: String) throws { try write(Array(text.utf8), to: STDERR_FILENO) }

    /// What is there to be revoked; says so and ends if there is nothing.
    private func revocation(of token: FencingToken?) throws -> Revocation {
        let (connection, welcome, _) = try daemon.connect()
        let listing = try Listing(from: connection) { .show(name, $0) }
        guard let revocation = Revocation(of: token, in: listing, daemon: welcome.process) else { throw notHeld(token) }
        return revocation
    }

    /// Over a connection of its own: while the question was there, the daemon may have ended, and another one gone on.
    private func revoke(_ token: FencingToken?, wasShown: Bool = false) throws {
        let reason = reason.flatMap { Text(argument: $0) }
        switch try daemon.connect().connection.ask(.revoke(name, token: token, reason: reason)) {
        case .revoked(let names, let token):
            print("revoked the lease on \(names.display), token \(token)")
        case .notHeld where wasShown:
            complain("the lease that was shown is over; nothing is revoked")
            throw Ending.nothingThere
        case .notHeld: throw notHeld(token)
        case .denied(_, _, let holder):
            complain(
                "\(name.display) is held by user \(Users.name(of: holder)); only that user and root may revoke it"
            )
            throw Ending.denied
        case .error(let error): throw Refused(error)
        case let reply: throw Unexpected(reply)
        }
    }

    /// Says that there is no such lease.
    private func notHeld(_ token: FencingToken?) -> ExitCode {
        complain("nobody holds \(name.display)" + (token.map { " with token \($0)" } ?? ""))
        return Ending.nothingThere
    }
}
