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
              lockctl run src dst -- rsync src/ dst/         both leases at once, or none
              lockctl once backup -- ./backup.sh             for cron: nothing if it is being done already
              lockctl acquire --pid $$ reports/nightly       for the rest of a script; prints the token
              lockctl ls                                     who holds what, who waits
              lockctl why reports/nightly                    in sentences: what is in the way
              lockctl watch reports/                         what happens, as it happens
            """,
        version: "lockctl \(LockdVersion.current)",
        subcommands: [
            Run.self, Once.self, Acquire.self, Release.self, Renew.self, Wait.self, List.self, Show.self, Why.self,
            Tree.self,
            History.self, Watch.self, Stats.self, Metrics.self, Revoke.self, Ping.self, Doctor.self, Version.self,
        ]
    )

    /// Parses the command line and does what it says.
    static func main() { main(prepared(Array(CommandLine.arguments.dropFirst()))) }

    /// The arguments in a form that can be parsed.
    ///
    /// ArgumentParser takes no second list behind that of the locks, so the `--` before the words of the command becomes an option that takes all the rest.
    /// Each of those words gets a colon in front, which is taken off again: then none of them looks like an option of this program.
    static func prepared(_ arguments: [String]) -> [String] {
        guard ["run", "once"].contains(arguments.first), let terminator = arguments.firstIndex(of: "--") else {
            return arguments
        }
        return arguments[..<terminator] + ["--command"] + arguments[(terminator + 1)...].map { ":" + $0 }
    }
}
