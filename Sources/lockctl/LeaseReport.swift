import ArgumentParser
import Glibc
import LockdModel
import LockdWire

/// What is said on stderr of a lease and its wait.
enum ReportForm: Hashable {
    /// Nothing, also if the lease is not to be had: the exit code says that.
    case silent
    /// Nothing but what goes wrong.
    case quiet
    /// Waits in one line that changes, for a terminal.
    case line
    /// Waits in a line at the beginning and for each change.
    case lines
    /// One JSON object a line.
    case json

    /// How it can be chosen; else it is by whether stderr is a terminal.
    enum Choice: String, CaseIterable, ExpressibleByArgument {
        case plain
        case json
    }
}

/// Says on stderr what becomes of a lease.
struct LeaseReport {
    let names: LockNames
    let form: ReportForm

    /// Says that the lease is granted.
    func granted(_ token: FencingToken) {
        if form == .json { say("acquired", [("token", .integer(token.value))]) }
    }

    /// Says that the holder before ended without releasing.
    func follows(_ abandonment: Abandonment) {
        switch form {
        case .silent, .quiet: break
        case .line, .lines: complain(names.sentence(of: abandonment), as: .warning)
        case .json: say("abandoned", Self.json(abandonment))
        }
    }

    /// Says that the lease is not to be had.
    func notAcquired(_ reason: String, _ sentence: String, _ holder: Reply.Holder? = nil, waiters: Int? = nil) {
        if form == .silent { return }
        guard form == .json else { return complain(sentence) }
        let members: [(String, JSON)] = [
            ("reason", .string(reason)), ("message", .string(sentence)), ("holder", Self.json(holder)),
            ("waiters", .integer(waiters)),
        ]
        say("not_acquired", members)
    }

    /// Says that the lease is lost, and what the command is done to.
    func lost(_ reason: String, response: OnLoss) {
        let what =
            switch response {
            case .terminate: "sending TERM to the command"
            case .signal(let number): "sending \(SignalName.name(of: number)) to the command"
            case .ignore: "the command goes on"
            }
        guard form == .json else {
            return complain("the lease on \(names.display) is lost: \(reason); \(what)")
        }
        say("lost", [("message", .string(reason)), ("response", .string(response.description))])
    }

    /// How many of those that are left are named.
    private static let leftLimit = 20

    /// Says that the command has ended, and what of it keeps the lease.
    func lingers(_ left: [RunningProcess]) {
        switch form {
        case .silent, .quiet: break
        case .line, .lines:
            let more = left.count > Self.leftLimit ? ["\(left.count - Self.leftLimit) more"] : []
            let named = left.prefix(Self.leftLimit).map(\.display) + more
            let who = named.isEmpty ? "what it has left behind" : named.joined(separator: ", ")
            complain(
                "the command has ended; \(names.display) \(names.areOrIs) held until this has too: \(who)",
                as: .warning
            )
        case .json:
            let processes = left.prefix(Self.leftLimit).map {
                JSON.object([("pid", .integer($0.process)), ("command", .string($0.command))])
            }
            say("lingering", [("processes", .array(processes))])
        }
    }

    /// Says, as JSON, how a wait goes.
    func waits(position: Int, on: LockName?, holder: Reply.Holder?, waiterCount: Int) {
        let members: [(String, JSON)] = [
            ("position", .integer(position)), ("waiters", .integer(waiterCount)), ("on", .text(on?.display)),
            ("on_escaped", .text(on?.spelling)), ("holder", Self.json(holder)),
        ]
        say("waiting", members)
    }

    private func say(_ event: String, _ members: [(String, JSON)]) {
        let about: [(String, JSON)] = [
            ("event", .string(event)), ("time_ms", .integer(WallTime.now().milliseconds)),
            ("names", .array(names.map { .string($0.display) })),
            ("names_escaped", .array(names.map { .string($0.spelling) })),
        ]
        write(JSON.object(about + members).line + "\n", to: STDERR_FILENO)
    }

    private static func json(_ holder: Reply.Holder?) -> JSON {
        guard let holder else { return .null }
        return .object { object in
            Listing.add(holder.peer, to: &object)
            object.write(member: "held_ms", .integer(holder.held.count))
            object.write(member: "note", .text(holder.note?.display))
            object.write(member: "count", .integer(holder.count))
        }
    }

    private static func json(_ abandonment: Abandonment) -> [(String, JSON)] {
        [
            ("pid", .integer(abandonment.process?.value)), ("command", .text(abandonment.command?.display)),
            ("uid", .integer(abandonment.user?.value)), ("user", .text(abandonment.user.map(Users.name))),
            ("ending", .string(abandonment.ending.rawValue)), ("held_ms", .integer(abandonment.held.count)),
            ("abandoned_token", .integer(abandonment.token.value)), ("note", .text(abandonment.note?.display)),
        ]
    }
}
