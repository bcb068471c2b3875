import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// Which daemon is meant.
struct DaemonOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The daemon's socket (default: $LOCKD_SOCKET or /run/lockd/lockd.sock).", valueName: "path"),
        completion: .file()
    )
    var socket: String?

    @Flag(help: "The user's own daemon: the socket in $XDG_RUNTIME_DIR/lockd.")
    var user = false

    /// The daemon that the environment says.
    static func fromEnvironment() throws -> DaemonOptions { try parse([]) }

    func validate() throws {
        if let socket, RawText.bytes(of: socket) != Array(socket.utf8) {
            throw ValidationError("the path of a socket is UTF-8, and \(Readable.text(socket)) is not")
        }
    }

    private static let client = Text(cutting: "lockctl/\(LockdVersion.current)", limit: Text.shortLimit)

    /// Connects and greets.
    ///
    /// With `patience`, no longer than that is waited for anything that the daemon is to say.
    func connect(
        patience: Milliseconds? = nil
    ) throws -> (connection: BlockingConnection, welcome: Reply.Welcome, path: String) {
        let path = try SocketPath.find(argument: socket, user: user)
        let connection = try BlockingConnection(path: path, patience: patience)
        switch try connection.ask(.hello(Request.Hello(client: Self.client))) {
        case .welcome(let welcome): return (connection, welcome, path)
        case .error(let error): throw Refused(error)
        case let reply: throw Unexpected(reply)
        }
    }
}

extension DaemonOptions {
    /// Connects and greets, for a session that goes on when the daemon restarts.
    func begin() throws -> (connection: ResumingConnection, welcome: Reply.Welcome) {
        let path = try SocketPath.find(argument: socket, user: user)
        return try ResumingConnection.begin(path: path, client: Self.client)
    }
}

/// The daemon has refused a request.
struct Refused: Error, CustomStringConvertible {
    let error: WireError

    init(_ error: WireError) { self.error = error }

    var description: String {
        var words = ["lockd refused: \(error.code.rawValue)"]
        if let key = error.key { words.append("(\(key))") }
        if let got = error.got { words.append("got \(got)") }
        if let want = error.want { words.append("want \(want)") }
        if let limit = error.limit { words.append("limit \(limit)") }
        if let scope = error.scope { words.append("per \(scope.rawValue)") }
        return words.joined(separator: " ")
    }
}

/// The daemon has answered something else than the protocol says.
struct Unexpected: Error, CustomStringConvertible {
    let reply: Reply

    init(_ reply: Reply) { self.reply = reply }

    var description: String { "lockd answered out of turn: \(reply)" }
}

/// The ways to end, besides success and the exit code of the command that was run; numbers of sysexits.h.
enum Ending {
    /// EX_UNAVAILABLE: the daemon cannot be reached, or went away.
    static let unavailable = ExitCode(69)
    /// EX_TEMPFAIL: the lease was not to be had.
    static let notAcquired = ExitCode(75)
    /// EX_OSERR: the system refuses something.
    static let system = ExitCode(71)
    /// EX_SOFTWARE: programs wait for each other.
    static let deadlock = ExitCode(70)
    /// EX_IOERR: what was to be said could not be written.
    static let notWritten = ExitCode(74)
    /// EX_NOPERM: it is not for this user to do.
    static let denied = ExitCode(77)
    /// There is nothing to do it to.
    static let nothingThere = ExitCode(1)
}

extension DaemonOptions {
    /// Has the programs that this one starts find the same daemon.
    func passOn() throws {
        if socket != nil || user { setenv("LOCKD_SOCKET", try SocketPath.find(argument: socket, user: user), 1) }
    }
}

/// Runs `body`; whatever it throws is said on stderr and becomes an exit code.
func reportingFailures(_ body: () throws -> Void) throws {
    do {
        try body()
    } catch let exit as ExitCode {
        throw exit
    } catch let problem as ValidationError {
        throw problem
    } catch let failure as SystemFailure {
        complain("\(failure)")
        throw Ending.system
    } catch {
        complain("\(error)")
        throw Ending.unavailable
    }
}

/// Says `message` on stderr; on a terminal, who says it is set off as what it is.
func complain(_ message: String, as emphasis: Emphasis = .wrong) {
    write("\(Ink(for: STDERR_FILENO)("lockctl:", emphasis)) \(message)\n", to: STDERR_FILENO)
}

/// A lock name from the command line: its bytes as they are.
func lockName(_ argument: String) throws -> LockName {
    do {
        return try LockName(bytes: RawText.bytes(of: argument))
    } catch {
        switch error {
        case .empty: throw ValidationError("a lock's name cannot be empty")
        case .tooLong(let limit):
            throw ValidationError(
                "a lock's name has \(limit) bytes at the most; this one has \(RawText.bytes(of: argument).count)"
            )
        case .badSpelling: throw ValidationError("\(Readable.text(argument)) is not a lock's name")
        }
    }
}

/// A length of time from the command line: `250ms`, `10s`, `5m`, `2h`, `7d`.
func duration(_ argument: String) throws -> Milliseconds {
    var argument = argument
    let length = argument.withUTF8 { Milliseconds(spelling: UnsafeRawBufferPointer($0)) }
    let examples = "write 250ms, 10s, 5m, 2h or 7d"
    guard let length else {
        guard argument.hasPrefix("-") else { throw ValidationError("\"\(argument)\" is not a duration; \(examples)") }
        let positive = String(argument.dropFirst())
        let line = (try? duration(positive)).map { _ in "write \(positive)" } ?? examples
        throw ValidationError("no duration is negative; \(line)")
    }
    guard length <= .maximum else {
        throw ValidationError("\(argument) is too long; at most \(Milliseconds.maximum)")
    }
    return length
}

/// Takes a whole number from the command line; `what` says which ones are right.
func number<Number: FixedWidthInteger & Sendable>(
    _ range: ClosedRange<Number>,
    _ what: String
) -> @Sendable (String) throws -> Number {
    { argument in
        guard let number = Number(argument), range.contains(number) else { throw ValidationError(what) }
        return number
    }
}
