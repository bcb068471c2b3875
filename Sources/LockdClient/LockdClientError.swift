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
            case leaseLost
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
        /// The owner that the request names holds the lock already, and would wait for itself.
        ///
        /// That lease goes on unchanged.
        public static let alreadyHeld = Code(.alreadyHeld)
        /// The lease ended before it was released.
        ///
        /// Work done since then may overlap another holder's.
        public static let leaseLost = Code(.leaseLost)
        /// No daemon could be reached.
        ///
        /// Nothing was asked for.
        public static let daemonUnavailable = Code(.daemonUnavailable)
        /// The connection ended before the answer came.
        ///
        /// Nothing is held and nothing waits; the next request connects again.
        public static let connectionLost = Code(.connectionLost)
        /// The daemon, or this process, has as many sessions, leases or waiting requests as the daemon takes.
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
    /// The lock that was asked for, if the error is about one.
    public let lockName: String?
    /// What went wrong and what can be done about it, in a sentence for a person.
    public let message: String

    init(_ code: Code, lockName: String? = nil, _ message: String) {
        self.code = code
        self.lockName = lockName
        self.message = message
    }

    /// The same as ``message``.
    public var description: String { message }
}

extension LockdClientError: Equatable {
    /// Whether both have the same code: the rest is for people.
    public static func == (left: Self, right: Self) -> Bool { left.code == right.code }
}

extension LockdClientError {
    static func invalidArgument(_ message: String) -> Self { Self(.invalidArgument, message) }
}
