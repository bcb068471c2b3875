import ArgumentParser
import CLinux
import Glibc
import LockdModel

/// The program `lockctl`: run a command under a lease, and see who holds what.
@main
struct Lockctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: "Runs commands under the leases of lockd, and shows who holds them.",
        discussion: Help.text(
            examples: [
                "lockctl run reports/nightly -- make report": "wait for the lease, run, release",
                "lockctl run -n backup -- ./backup.sh": "only if free; else exit code 75",
                "lockctl run src dst -- rsync src/ dst/": "both leases at once, or none",
                "lockctl once backup -- ./backup.sh": "for cron: not if it runs already",
                "lockctl acquire --pid $$ reports/nightly": "for the rest of a script",
                "lockctl ls": "who holds what, who waits",
                "lockctl why reports/nightly": "in sentences: what is in the way",
                "lockctl watch reports/": "what happens, as it happens",
            ]
        ),
        version: "lockctl \(LockdVersion.current)",
        subcommands: subcommands
    )

    static let subcommands: [any ParsableCommand.Type] = [
        Run.self, Once.self, Flock.self, Acquire.self, Release.self, Renew.self, Wait.self, List.self, Show.self,
        Why.self, Tree.self, History.self, Watch.self, Stats.self, Metrics.self, Revoke.self, Ping.self, Doctor.self,
        Version.self,
    ]

    /// What subcommands say that they are of, also when they are parsed alone: ArgumentParser then does not look, in each command line, whether it asks for
    /// a completion script, which takes longer than the rest of it.
    static let name = "lockctl"

    /// Parses the command line and does what it says.
    static func main() {
        openStandardStreams()
        clinux_end_by_signals()
        let words = RawText.arguments
        guard let name = words.first else {
            complain("cannot read the arguments, which are in /proc/self/cmdline")
            exit(withError: Ending.system)
        }
        // Under the name of flock(1) it is flock(1).
        let isFlock = name.split(separator: "/").last == "flock"
        let arguments = (isFlock ? ["flock"] : []) + words.dropFirst()
        let prepared = prepared(arguments)
        runAtOnce(prepared)
        if let shell = CompletionScript.shell(askedForBy: arguments) { return print(CompletionScript.text(for: shell)) }
        if let objection = objection(to: arguments) {
            complain(objection)
            exit(withError: ExitCode.validationFailure)
        }
        do {
            var command = try parseAsRoot(prepared)
            try command.run()
        } catch {
            end(with: error, of: prepared)
        }
    }

    /// Runs a subcommand without looking at the others, and ends, if there is nothing wrong with its command line.
    ///
    /// ArgumentParser looks at all of them first, at each level anew, which takes longer than a lease does. What is wrong, and what asks for help, is left to it.
    private static func runAtOnce(_ arguments: [String]) {
        guard let word = arguments.first,
            let subcommand = subcommands.first(where: { $0._commandName == word }),
            var command = try? subcommand.parse(Array(arguments.dropFirst()))
        else { return }
        do {
            try command.run()
            if !clinux_finish_output() {
                complain("the output cannot be written: \(String(cString: strerror(errno)))")
                throw Ending.notWritten
            }
            Glibc.exit(EXIT_SUCCESS)
        } catch let code as ExitCode {
            Glibc.exit(code.rawValue)
        } catch {
            end(with: error, of: arguments)
        }
    }

    /// Opens the standard streams that are closed, because whatever is opened next would stand for them and be written to.
    ///
    /// The programs that are started find them closed.
    private static func openStandardStreams() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) == -1 {
            // Neither can be used for what it is for, as if it were closed.
            _ = clinux_open("/dev/null", (descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC, 0)
        }
    }

    /// The arguments in a form that can be parsed.
    static func prepared(_ arguments: [String]) -> [String] {
        guard ["run", "once"].contains(arguments.first), let terminator = arguments.firstIndex(of: "--") else {
            return withNegativeValues(arguments)
        }
        // ArgumentParser takes no second list behind that of the locks, so the `--` before the words of the command becomes an option that takes all the rest.
        // Each of those words gets a colon in front, which is taken off again: then none of them looks like an option of this program.
        return withNegativeValues(Array(arguments[..<terminator])) + ["--command"]
            + arguments[(terminator + 1)...].map { ":" + $0 }
    }

    /// The arguments, each `-5s` behind an option as that option's value: `-w=-5s`.
    ///
    /// ArgumentParser would say that the value is missing. What begins so is no option of ours, and no value is to be negative, which is for those to say who take it.
    private static func withNegativeValues(_ arguments: [String]) -> [String] {
        if arguments.first == "flock" || arguments.first?.hasPrefix("---") == true { return arguments }
        var prepared: [String] = []
        var isBehindTerminator = false
        for word in arguments {
            isBehindTerminator = isBehindTerminator || word == "--"
            if isBehindTerminator {
                prepared.append(word)
            } else if isNegative(word), let option = prepared.last, isOneOption(option) {
                prepared[prepared.count - 1] += "=" + word
            } else if isOneOption(String(word.prefix(2))), isNegative(String(word.dropFirst(2))) {
                prepared.append(word.prefix(2) + "=" + word.dropFirst(2))
            } else {
                prepared.append(word)
            }
        }
        return prepared
    }

    private static func isNegative(_ word: String) -> Bool {
        word.hasPrefix("-") && word.dropFirst().first { $0 != "." }?.isNumber == true
    }

    /// Whether it is `--option` or `-o`, and has no value yet.
    private static func isOneOption(_ word: String) -> Bool {
        guard word.hasPrefix("-"), word != "--", !word.contains("=") else { return false }
        return word.hasPrefix("--") || word.count == 2
    }
}
