import ArgumentParser
import LockdModel

/// The program `lockctl`: run a command under a lease, and see who holds what.
@main
struct Lockctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lockctl",
        abstract: "Runs commands under the leases of lockd, and shows who holds them.",
        discussion: """
            Examples:
              lockctl run reports/nightly -- make report     wait for the lease, run, release
              lockctl run -n backup -- ./backup.sh           only if it is free; exits with 75 if not
              lockctl ls                                     who holds what, who waits
            """,
        version: "lockctl \(LockdVersion.current)",
        subcommands: [Run.self, List.self, Show.self, Revoke.self, Ping.self]
    )
}
