import ArgumentParser
import CLinux
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// `lockctl acquire`: a lease that lives as long as a process.
struct Acquire: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "acquire",
        _superCommandName: Lockctl.name,
        abstract: "Acquire a lease that lives as long as a process, and print its token.",
        usage: """
            lockctl acquire --pid <pid> [-n | -w <duration>] [--ttl <duration>] [--shared | --limit <count>] \
            [--max-queue <count>] [--note <text>] [-E <code>] [--progress plain|json | -q] <name> …
            """,
        discussion: Help.text(
            """
            For scripts, which then hold the lease themselves. Whatever becomes of the script, the lease ends with it. The process has to be of the own user; root \
            may name any.

            Exit codes:
              1    there is no such process, or it ended before the lease was granted
              64   the command line is wrong
              69   lockd cannot be reached
              70   the lease would never be granted: a deadlock
              75   the lease was not acquired (-E chooses another code)
              77   it is the process of another user
            """,
            examples: [
                "token=$(lockctl acquire --pid $$ reports/nightly) || exit": "in a script",
                "lockctl release reports/nightly --token \"$token\"": "before it ends",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(help: ArgumentHelp("The process that the lease lives as long as; $$ in a script.", valueName: "pid"))
    var pid: Int32

    @OptionGroup var options: AcquireOptions

    @Option(
        help: ArgumentHelp("End the lease after so long without lockctl renew: 30s, 5m.", valueName: "duration"),
        transform: duration
    )
    var ttl: Milliseconds?

    @Option(help: ArgumentHelp("What others see about the lease.", valueName: "text"))
    var note: String?

    @Argument(help: "The locks.", completion: Completing.lockNames, transform: lockName)
    var names: [LockName]

    func validate() throws {
        _ = try lockNames(names)
        try checkNote(note)
        if pid < 1 { throw ValidationError("\(pid) is not the number of a process") }
        if let ttl, ttl.count == 0 { throw ValidationError("with a ttl of zero the lease would end as it begins") }
    }

    func run() throws {
        try reportingFailures {
            let names = try lockNames(names)
            let pidfd = clinux_pidfd_open(pid)
            guard pidfd != -1 else {
                if errno != ESRCH { throw SystemFailure("pidfd_open") }
                complain("there is no process \(pid)")
                throw Ending.nothingThere
            }
            defer { close(pidfd) }
            let (connection, welcome) = try daemon.begin()
            let note = note.flatMap { Text(argument: $0) }
            var terms = options.terms(for: names, note: note, of: welcome)
            terms.timeToLive = ttl
            terms.binding = .pidfd
            do {
                let token = try options.acquire(terms, with: pidfd, on: connection)
                do {
                    try write(Array("\(token)\n".utf8), to: STDOUT_FILENO)
                } catch {
                    // Nobody could release what nobody knows the token of.
                    _ = try connection.ask(.release(names.first, token: token))
                    throw error
                }
            } catch let refused as Refused where refused.error.code == .foreignProcess {
                let user = refused.error.got.flatMap { UInt32($0.spelling) }.map { Users.name(of: UserID($0)) }
                complain(
                    "process \(pid) is of user \(user ?? "?"), to whose processes only that user and root may bind a lease"
                )
                throw Ending.denied
            } catch let refused as Refused where refused.error.got?.spelling == "ended" {
                complain("process \(pid) has ended")
                throw Ending.nothingThere
            }
        }
    }
}

/// `lockctl release`: the end of a bound lease.
struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release",
        _superCommandName: Lockctl.name,
        abstract: "Release a lease that was acquired by lockctl acquire.",
        discussion: Help.text(
            "Exits with 1 if there is no such lease; it may have ended before.",
            examples: [
                "lockctl release reports/nightly --token \"$token\"": "what acquire has printed"
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(help: ArgumentHelp("The token that lockctl acquire has printed.", valueName: "number"))
    var token: UInt64

    @Argument(help: "Any lock of the lease.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func run() throws {
        try reportingFailures {
            let request = Request.release(name, token: FencingToken(token))
            switch try daemon.connect().connection.ask(request) {
            case .released(let names, _): print("released \(names.display)")
            case let reply: throw failure(reply, name, token)
            }
        }
    }
}

/// `lockctl renew`: a later deadline for a bound lease.
struct Renew: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        _superCommandName: Lockctl.name,
        abstract: "Move the deadline of a lease that was acquired by lockctl acquire.",
        discussion: Help.text(
            "To now plus its ttl, or plus another one. Exits with 1 if there is no such lease; it may have ended before.",
            examples: [
                "lockctl renew db --token \"$token\"": "with the same ttl",
                "lockctl renew db --token \"$token\" --ttl 5m": "with another one",
                "lockctl renew \"$LOCKD_NAME\" --token \"$LOCKD_TOKEN\"": "under lockctl run",
            ]
        )
    )

    @OptionGroup var daemon: DaemonOptions

    @Option(help: ArgumentHelp("The token that lockctl acquire has printed.", valueName: "number"))
    var token: UInt64

    @Option(help: ArgumentHelp("The ttl from now on: 30s, 5m.", valueName: "duration"), transform: duration)
    var ttl: Milliseconds?

    @Argument(help: "Any lock of the lease.", completion: Completing.lockNames, transform: lockName)
    var name: LockName

    func validate() throws {
        if let ttl, ttl.count == 0 { throw ValidationError("with a ttl of zero the lease would end at once") }
    }

    func run() throws {
        try reportingFailures {
            let request = Request.renew(name, token: FencingToken(token), timeToLive: ttl)
            switch try daemon.connect().connection.ask(request) {
            case .renewed(let names, _, let timeToLive?): print("renewed \(names.display) for \(timeToLive.display)")
            case .renewed(let names, _, nil): print("\(names.display) needs no renewal: the lease has no ttl")
            case let reply: throw failure(reply, name, token)
            }
        }
    }
}

/// What is to be thrown because of an answer that is none of those that were hoped for.
private func failure(_ reply: Reply, _ name: LockName, _ token: UInt64) -> any Error {
    switch reply {
    case .notHeld:
        complain("there is no lease on \(name.display) with token \(token), or it is another user's")
        return Ending.nothingThere
    case .error(let error): return Refused(error)
    default: return Unexpected(reply)
    }
}
