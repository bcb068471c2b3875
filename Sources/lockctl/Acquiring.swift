import ArgumentParser
import Glibc
import LockdClient
import LockdModel
import LockdWire

/// How a lease is asked for.
struct AcquireOptions: ParsableArguments {
    @Flag(
        name: [.customShort("n"), .customLong("no-wait")],
        help: "Do not wait: exit with 75 if the lock is not free."
    )
    var doesNotWait = false

    @Option(
        name: [.customShort("w"), .customLong("wait")],
        help: ArgumentHelp("Wait so long at the most, then exit with 75: 250ms, 10s, 5m.", valueName: "duration"),
        transform: duration
    )
    var waitTimeout: Milliseconds?

    @Option(
        name: [.customShort("E"), .long],
        help: ArgumentHelp("The exit code when the lease is not acquired, instead of 75.", valueName: "code"),
        transform: number(0...UInt8.max, "an exit code is 0 to 255")
    )
    var conflictExitCode: UInt8 = 75

    @Flag(name: .shortAndLong, help: "Hold the lock together with others that are shared too.")
    var shared = false

    @Option(
        help: ArgumentHelp("Hold the lock together with others, so many in all.", valueName: "count"),
        transform: number(1...HolderLimit.largestCount, "a limit is 1 to \(HolderLimit.largestCount)")
    )
    var limit: Int?

    @Option(
        help: ArgumentHelp(
            "Wait only if fewer than so many others do, else exit with 75; 1 is for a job that need not run if one is already waiting to.",
            valueName: "count"
        ),
        transform: number(0...ProtocolLimits.queueLimit, "a queue has 0 to \(ProtocolLimits.queueLimit) places")
    )
    var maxQueue: Int?

    @Option(
        help: ArgumentHelp(
            "How the wait is told on stderr: in plain lines also on a terminal, or in JSON, an object for each thing that happens.",
            valueName: "plain|json"
        )
    )
    var progress: ReportForm.Choice?

    @Flag(
        name: [.customShort("q"), .customLong("quiet")],
        help: "Say nothing of the wait, nor that the holder before did not release the lock."
    )
    var isQuiet = false

    func validate() throws {
        if doesNotWait && waitTimeout != nil { throw ValidationError("-n and -w exclude each other") }
        if shared && limit != nil { throw ValidationError("--shared and --limit exclude each other") }
        if progress != nil && isQuiet { throw ValidationError("--progress and --quiet exclude each other") }
    }

    /// What is asked of the daemon that says `welcome`.
    func terms(for names: LockNames, note: Text?, of welcome: Reply.Welcome) -> AcquireTerms {
        AcquireTerms(
            names: names,
            wait: wait,
            queueLimit: maxQueue,
            holderLimit: shared ? .shared : limit.map(HolderLimit.init) ?? .exclusive,
            note: note,
            progress: reports(welcome) ? .seconds(1) : nil
        )
    }

    private var wait: WaitTimeout {
        if doesNotWait { return .none }
        return waitTimeout.map { $0.count == 0 ? .none : .after($0) } ?? .never
    }

    /// A daemon that was not restarted since it was replaced by a later version may not know how, and would refuse.
    private func reports(_ welcome: Reply.Welcome) -> Bool {
        !isQuiet && (progress != nil || welcome.features.contains("progress"))
    }

    /// What is said of a lease on `names`.
    func report(on names: LockNames) -> LeaseReport {
        let form: ReportForm =
            switch progress {
            case .plain?: .lines
            case .json?: .json
            case nil: isQuiet ? .quiet : Terminal.canRewrite(STDERR_FILENO) ? .line : .lines
            }
        return LeaseReport(names: names, form: form)
    }

    /// Asks for the lease; see ``LeaseRequest/grant(with:on:)``.
    func acquire(
        _ terms: AcquireTerms,
        with attachment: CInt? = nil,
        on connection: ResumingConnection
    ) throws -> FencingToken {
        let request = LeaseRequest(
            terms: terms,
            report: report(on: terms.names),
            notAcquired: ExitCode(Int32(conflictExitCode))
        )
        return try request.grant(with: attachment, on: connection)
    }
}

/// Names from the command line, each with its bytes as they are.
func lockNames(_ names: [LockName]) throws -> LockNames {
    guard let first = names.first else { throw ValidationError("the lock's name is missing") }
    if names.count > LockNames.maximumCount {
        throw ValidationError("a lease is on \(LockNames.maximumCount) names at the most, and these are \(names.count)")
    }
    guard let all = LockNames(first, Array(names.dropFirst())) else {
        throw ValidationError("each name can be given once")
    }
    return all
}

/// A note from the command line.
func checkNote(_ note: String?) throws {
    if let count = note.map({ RawText.bytes(of: $0).count }), !(1...Text.longLimit).contains(count) {
        throw ValidationError("a note has 1 to \(Text.longLimit) bytes; this one has \(count)")
    }
}
