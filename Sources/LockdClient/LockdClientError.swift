import LockdModel
import LockdWire

/// An error thrown by a lock client.
///
/// Decide by ``code``; ``description`` is a sentence for the person who has to do something about it.
public struct LockdClientError: Error, Sendable, CustomStringConvertible {
    /// What went wrong.
    ///
    /// Later versions may have more codes than this one.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String {
            case waitTimedOut
            case alreadyHeld
            case deadlock
            case leaseLost
            case notHeld
            case bindingEnded
            case daemonUnavailable
            case connectionLost
            case limitReached
            case refused
            case incompatibleDaemon
            case invalidName
            case invalidArgument
            case forked
            case closed
        }

        private let value: Value

        private init(_ value: Value) { self.value = value }

        /// The wait timeout passed before the lock was granted.
        ///
        /// Nothing is held and nothing waits.
        public static let waitTimedOut = Code(.waitTimedOut)
        /// The owner that the request names holds the lock already, or a part of several, and would wait for itself.
        ///
        /// That lease goes on unchanged.
        public static let alreadyHeld = Code(.alreadyHeld)
        /// The request would have waited for ever, because those it waits for wait for its own owner; ``LockdClientError/edges`` says who waits for whom.
        ///
        /// Nothing waits, and what the owner holds it holds still. The others go on when it releases that. Only requests with an owner are seen through.
        public static let deadlock = Code(.deadlock)
        /// The lease ended before it was released.
        ///
        /// Work done since then may overlap another holder's.
        public static let leaseLost = Code(.leaseLost)
        /// There is no lease on that name with that token, or it is another user's.
        public static let notHeld = Code(.notHeld)
        /// The process or the pipe to which the lease was to be bound has ended.
        ///
        /// Nothing is held and nothing waits.
        public static let bindingEnded = Code(.bindingEnded)
        /// No daemon could be reached; or the one that was there has ended, and none was back within two seconds.
        ///
        /// The request holds nothing and does not wait any more.
        public static let daemonUnavailable = Code(.daemonUnavailable)
        /// The first connection to the daemon ended before it was answered at all, or the daemon has ended the session.
        ///
        /// Nothing is held and nothing waits; the next request connects again.
        public static let connectionLost = Code(.connectionLost)
        /// The daemon, or this process, has as many sessions, leases or waiting requests as the daemon takes; or the daemon has no room to write down another.
        ///
        /// It may work later.
        public static let limitReached = Code(.limitReached)
        /// The daemon did not accept the request, and never will.
        public static let refused = Code(.refused)
        /// What listens at the socket does not speak version 1 of the lockd protocol.
        public static let incompatibleDaemon = Code(.incompatibleDaemon)
        /// The name is empty or has more than 255 bytes.
        public static let invalidName = Code(.invalidName)
        /// Another argument is out of its range.
        public static let invalidArgument = Code(.invalidArgument)
        /// The client was made before this process was forked, and belongs to the parent.
        public static let forked = Code(.forked)
        /// The client was closed.
        public static let closed = Code(.closed)

        /// The name of the code.
        public var description: String { value.rawValue }
    }

    /// What went wrong.
    public let code: Code
    /// The names of the locks that were asked for, in that order; empty if the error is not about any.
    public let lockNames: [String]
    /// How the lease was lost, if the code is ``Code/leaseLost``.
    public let loss: LeaseLoss?
    /// Who waits for whom, if the code is ``Code/deadlock``: the steps nearest to the request first, 500 at the most.
    public let edges: [DeadlockEdge]
    /// What went wrong and what can be done about it, in a sentence for a person.
    public let message: String

    init(
        _ code: Code,
        lockNames: [String] = [],
        loss: LeaseLoss? = nil,
        edges: [DeadlockEdge] = [],
        _ message: String
    ) {
        self.code = code
        self.edges = edges
        self.lockNames = lockNames
        self.loss = loss
        self.message = message
    }

    /// The first of ``lockNames``, if there is one.
    public var lockName: String? { lockNames.first }

    /// The same as ``message``.
    public var description: String { message }
}

extension LockdClientError: Equatable {
    /// Whether both have the same code: the rest is for people.
    public static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}

/// The errors of this library, each with its sentence.
extension LockdClientError {
    static func invalidArgument(_ message: String) -> Self { Self(.invalidArgument, message) }

    static func invalidName(_ name: String, _ problem: EscapingProblem) -> Self {
        let message =
            switch problem {
            case .empty: "a lock needs a name of 1 to \(LockName.maximumByteCount) bytes, this one is empty"
            case .badSpelling, .tooLong:
                "the name of a lock has at most \(LockName.maximumByteCount) bytes, this one has "
                    + "\(name.utf8.count): \"\(Sentence.quotable(name))\""
            }
        return Self(.invalidName, lockNames: [name], message)
    }

    static func waitTimedOut(
        _ names: LockNames,
        waited: Milliseconds?,
        _ holder: Reply.Holder?,
        waiterCount: Int
    ) -> Self {
        let waiting = waited.map { " after a wait of \(Sentence.roughly($0))" } ?? ""
        let sentence = Sentence.holding(holder, waiterCount: waiterCount)
        let (was, it) = names.count == 1 ? ("was", "it") : ("were", "one of them")
        return Self(.waitTimedOut, "\(names.quoted) \(was) not granted\(waiting): \(it) \(sentence)").about(names)
    }

    static func alreadyHeld(_ names: LockNames, _ token: FencingToken) -> Self {
        let (isHeld, it) = names.count == 1 ? ("is held", "it") : ("are held", "them")
        return Self(
            .alreadyHeld,
            "\(names.quoted) \(isHeld) already by the owner that asks for \(it), with the token \(token); "
                + "release \(it) first, or ask as another owner"
        ).about(names)
    }

    private static func partlyHeld(_ names: LockNames) -> Self {
        Self(
            .alreadyHeld,
            "the owner that asks for \(names.quoted) holds a part of them already; release that first, or ask as another owner"
        ).about(names)
    }

    /// How many steps of a deadlock the sentence about it spells out: a person reads no more.
    private static let edgesInSentence = 5

    static func deadlock(_ names: LockNames, _ edges: [DeadlockEdge]) -> Self {
        let (it, them) = names.count == 1 ? ("it", "it") : ("they", "them")
        let steps = edges.prefix(edgesInSentence).map(\.description).joined(separator: "; ")
        let rest = edges.count > edgesInSentence ? "; and \(edges.count - edgesInSentence) steps more" : ""
        return Self(
            .deadlock,
            lockNames: names.strings,
            edges: edges,
            "\(names.quoted) would never be granted: whoever has \(them) waits for the owner that asks (\(steps)\(rest)); "
                + "release what that owner holds, so that \(it) can become free"
        )
    }

    static func notHeld(_ name: LockName, _ token: FencingToken) -> Self {
        Self(
            .notHeld,
            "there is no lease on \(name.quoted) with the token \(token), or it is another user's; it may have ended before"
        ).about(LockNames(name))
    }

    static func bindingEnded(_ names: LockNames) -> Self {
        Self(
            .bindingEnded,
            "\(names.quoted) cannot be held by what has ended: the process, or whoever had the pipe open"
        ).about(
            names
        )
    }

    static func leaseLost(_ loss: LeaseLoss) -> Self {
        Self(.leaseLost, lockNames: loss.lockNames, loss: loss, "\(loss)")
    }

    static func daemonUnavailable(_ failure: ConnectFailure) -> Self { Self(.daemonUnavailable, "\(failure)") }

    static func noThread(_ number: CInt) -> Self {
        Self(.daemonUnavailable, "cannot make the thread that speaks to lockd: \(System.message(of: number))")
    }

    /// There was a daemon, and it was not back in time.
    static func absent(_ path: String, _ problem: LockdClientError) -> Self {
        let detail = problem.code == .connectionLost ? "" : ": \(problem.message)"
        return Self(.daemonUnavailable, "lockd at \(path) has ended and is not back\(detail)")
    }

    static func connectionLost(_ path: String, _ problem: String) -> Self {
        Self(
            .connectionLost,
            "the connection to lockd at \(path) ended before it answered (\(problem)); nothing is held, the request can be repeated"
        )
    }

    /// The daemon has refused a request, or the session itself.
    static func refused(_ error: WireError, names: LockNames?) -> Self {
        if let names, error.code == .partlyHeld { return partlyHeld(names) }
        if let names, error.code == .badDescriptor, error.got?.spelling == "ended" { return bindingEnded(names) }
        if error.code == .logFull {
            return Self(
                .limitReached,
                lockNames: names?.strings ?? [],
                "lockd cannot write down what is to outlive it, and grants nothing new: "
                    + "make room on the file system of its socket, and try again (log-full)"
            )
        }
        let what = names.map { "the request for \($0.quoted)" } ?? "the session"
        let limits: Set<WireError.Code> = [
            .tooManySessions, .tooManyLeases, .tooManyWaiters, .tooManyBytes, .tooManyDescriptors, .tooManyWatchers,
        ]
        guard limits.contains(error.code) else {
            var details = "\(error.code.rawValue)"
            if let key = error.key { details += ", \(key)" }
            if let got = error.got { details += ", got \(got)" }
            if let want = error.want { details += ", want \(want)" }
            return Self(.refused, lockNames: names?.strings ?? [], "lockd has refused \(what): \(details)")
        }
        let limit = error.limit.map { " of \($0)" } ?? ""
        let scope =
            switch error.scope {
            case .session: " for one process"
            case .user: " for one user"
            case .daemon: " for all together"
            case nil: ""
            }
        return Self(
            .limitReached,
            lockNames: names?.strings ?? [],
            "lockd has refused \(what): its limit\(limit)\(scope) is reached (\(error.code.rawValue)); try again later"
        )
    }

    static func incompatibleDaemon(_ path: String, _ problem: String) -> Self {
        Self(.incompatibleDaemon, "what listens at \(path) does not speak the lockd protocol, version 1: \(problem)")
    }

    static var forked: Self {
        Self(
            .forked,
            "this lockd client was made before the process was forked and belongs to the parent; make a new one in the child"
        )
    }

    static var closed: Self { Self(.closed, "the lockd client was closed; make a new one") }

    /// The same error, for one who asked for the locks `names`.
    ///
    /// If it `waited` until the time was up, that is what it is told.
    func about(_ names: LockNames, waited: Milliseconds?) -> Self {
        guard let waited else { return about(names) }
        let was = names.count == 1 ? "was" : "were"
        let message = "\(names.quoted) \(was) not granted after a wait of \(Sentence.roughly(waited)): \(message)"
        return Self(.waitTimedOut, message).about(names)
    }

    /// The same error, for one who asked for the locks `names`.
    func about(_ names: LockNames) -> Self { Self(code, lockNames: names.strings, loss: loss, edges: edges, message) }
}

extension LockName {
    /// The name as a string, with replacements for bytes that are not UTF-8.
    var string: String { String(decoding: bytes, as: UTF8.self) }

    /// The name for a sentence: `lock "a"`.
    var quoted: String { LockNames(self).quoted }
}

extension LockNames {
    /// The names as strings.
    var strings: [String] { map(\.string) }

    /// The names for a sentence: `lock "a"`, `locks "a" and "b"`.
    var quoted: String { (count == 1 ? "lock " : "locks ") + Sentence.list(strings) }
}
