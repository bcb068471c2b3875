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

    @Flag(help: "Hold the lock together with others that are shared too.")
    var shared = false

    @Option(help: ArgumentHelp("Hold the lock together with others, so many in all.", valueName: "count"))
    var limit: Int?

    @Option(
        help: ArgumentHelp(
            "Wait only if fewer than so many others do, else exit with 75; 1 is for a job that need not run if one is already waiting to.",
            valueName: "count"
        )
    )
    var maxQueue: Int?

    @Flag(help: "Say on stderr how the wait goes; without being told to, on a terminal.")
    var progress = false

    @Flag(
        name: [.customShort("q"), .customLong("quiet")],
        help: "Say nothing of the wait, nor that the holder before did not release the lock."
    )
    var isQuiet = false

    func validate() throws {
        if doesNotWait && waitTimeout != nil { throw ValidationError("-n and -w exclude each other") }
        if shared && limit != nil { throw ValidationError("--shared and --limit exclude each other") }
        if progress && isQuiet { throw ValidationError("--progress and --quiet exclude each other") }
        if let limit, !(1...HolderLimit.largestCount).contains(limit) {
            throw ValidationError("a limit is 1 to \(HolderLimit.largestCount), not \(limit)")
        }
        if let maxQueue, !(0...ProtocolLimits.queueLimit).contains(maxQueue) {
            throw ValidationError("--max-queue is 0 to \(ProtocolLimits.queueLimit), not \(maxQueue)")
        }
    }

    /// What is asked of the daemon that says `welcome`.
    func terms(for names: LockNames, note: Text?, of welcome: Reply.Welcome) -> AcquireTerms {
        AcquireTerms(
            names: names,
            wait: wait,
            queueLimit: maxQueue,
            holderLimit: shared ? .shared : limit.map(HolderLimit.init) ?? .exclusive,
            note: note,
            progress: progress || reportsUnasked(welcome) ? .seconds(1) : nil
        )
    }

    private var wait: WaitTimeout {
        if doesNotWait { return .none }
        return waitTimeout.map { $0.count == 0 ? .none : .after($0) } ?? .never
    }

    /// A daemon that was not restarted since it was replaced by a later version may not know how, and would refuse.
    private func reportsUnasked(_ welcome: Reply.Welcome) -> Bool {
        !isQuiet && isatty(STDERR_FILENO) == 1 && welcome.features.contains("progress")
    }

    /// Asks for the lease, and returns its token when it is granted.
    ///
    /// - Throws: the exit code, if it is not, after it was said why.
    func acquire(
        _ terms: AcquireTerms,
        with attachment: CInt? = nil,
        on connection: ResumingConnection
    ) throws -> FencingToken {
        var report = WaitReport(of: terms.names, isOnTerminal: isatty(STDERR_FILENO) == 1)
        defer { report.end() }
        var edges: [Reply.EdgeLine] = []
        do {
            let reply = try connection.ask(.acquire(terms), with: attachment) { aside in
                switch aside {
                case .queued(_, let position, let on, let holder, let waiterCount):
                    report.update(position: position, on: on, holder: holder, waiterCount: waiterCount)
                // No daemon says more of it; what a broken one says is not collected. After a restart some may come again.
                case .edge(let edge) where edges.count < ProtocolLimits.pageLineCount && !edges.contains(edge):
                    edges.append(edge)
                default: break
                }
            }
            report.end()
            return try token(from: reply, terms.names, edges)
        } catch let absence as ResumingConnection.Absence where absence.isWaitOver {
            report.end()
            complain("\(terms.names.display) \(terms.names.areOrIs) not acquired: \(absence)")
            throw Ending.notAcquired
        }
    }

    private func token(from reply: Reply, _ names: LockNames, _ edges: [Reply.EdgeLine]) throws -> FencingToken {
        switch reply {
        case .granted(_, let token, _, let predecessor):
            if case .abandoned(let abandonment) = predecessor, !isQuiet {
                complain(names.sentence(of: abandonment), as: .warning)
            }
            return token
        case .busy(_, let holder, let waiterCount):
            complain("\(names.display) \(names.areOrIs) not free: \(Situation.words(holder, waiterCount))")
            throw Ending.notAcquired
        case .timedOut(_, let waited, let holder, let waiterCount):
            complain("waited \(waited.display) for \(names.display): \(Situation.words(holder, waiterCount))")
            throw Ending.notAcquired
        case .cancelled:
            complain("\(names.display) \(names.areOrIs) not acquired: what the lease was to be bound to has ended")
            throw Ending.notAcquired
        case .deadlock:
            for line in Situation.deadlock(names, edges) { complain(line) }
            throw Ending.deadlock
        case .error(let error): throw Refused(error)
        default: throw Unexpected(reply)
        }
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
    if let note, !(1...Text.longLimit).contains(note.utf8.count) {
        throw ValidationError("a note has 1 to \(Text.longLimit) bytes; this one has \(note.utf8.count)")
    }
}
