import LockdModel
import LockdWire

/// How a lease was lost: it ended before it was released.
///
/// Work that was done under the lease since then may overlap that of the next holder.
public struct LeaseLoss: Hashable, Sendable, CustomStringConvertible {
    /// Why a lease was lost.
    ///
    /// Later versions may have more reasons than this one.
    public struct Reason: Hashable, Sendable, CustomStringConvertible {
        private enum Value: String {
            case expired
            case revoked
            case connectionLost
            case forgotten
            case logDamaged
            case closed
            case forked
            case unknown
        }

        private let value: Value

        private init(_ value: Value) { self.value = value }

        /// The ttl ran out before it was renewed.
        ///
        /// A client renews by itself, so this process must have been stopped, or starved of processor time, for longer than two thirds of the ttl.
        public static let expired = Reason(.expired)
        /// Somebody took it away; ``LeaseLoss/revocation`` says who.
        public static let revoked = Reason(.revoked)
        /// The connection was given up: what answers at the socket is no lockd of this version, or does not let this process go on.
        ///
        /// That the daemon ends, however it does, is no loss: the next one knows what is held.
        public static let connectionLost = Reason(.connectionLost)
        /// The daemon does not know the session any more, because its record of what is held was lost, or because it has ended the session.
        public static let forgotten = Reason(.forgotten)
        /// The daemon's record of what is held was damaged, and this lease is not in what is left of it.
        public static let logDamaged = Reason(.logDamaged)
        /// The client was closed.
        public static let closed = Reason(.closed)
        /// This process is a fork of the one that holds the lease.
        public static let forked = Reason(.forked)
        /// The daemon says that it is not held, and not why.
        public static let unknown = Reason(.unknown)

        /// The name of the reason.
        public var description: String { value.rawValue }
    }

    /// Who took a lease away.
    public struct Revocation: Hashable, Sendable {
        /// The number of the user.
        public let userID: UInt32?
        /// The number of the process, 0 if it is outside of the daemon's pid namespace.
        public let processID: Int32?
        /// What that process said for a reason, with replacements for bytes that are not UTF-8.
        public let why: String?
    }

    /// Why the lease was lost.
    public let reason: Reason
    /// Who took it away, if somebody did.
    public let revocation: Revocation?
    /// The names of the locks, in the order in which they were asked for: all of them are lost.
    public let lockNames: [String]
    /// The fencing token of the lease.
    public let token: UInt64

    init(_ reason: Reason, _ revocation: Revocation? = nil, lockNames: [String], token: UInt64) {
        self.reason = reason
        self.revocation = revocation
        self.lockNames = lockNames
        self.token = token
    }

    /// The first of ``lockNames``.
    public var lockName: String { lockNames[0] }

    /// What happened, in a sentence for a person.
    public var description: String {
        let locks = lockNames.count == 1 ? "lock" : "locks"
        return "the lease on \(locks) \(Sentence.list(lockNames)) (token \(token)) was lost: \(explanation)"
    }

    private var explanation: String {
        switch reason {
        case .expired: "it was not renewed in time; this process was stopped or starved for most of the ttl"
        case .revoked: revocation.map(Self.explanation) ?? "it was revoked"
        case .connectionLost: "the connection to lockd was given up, and with it the session that held it"
        case .forgotten:
            "lockd does not know the session any more that held it, because its record was lost or it has ended the session; "
                + "see what was done under the lease, and acquire it again"
        case .logDamaged:
            "lockd has restarted with a damaged record of what is held, and this is not in it; "
                + "see what was done under the lease, and acquire it again"
        case .closed: "the client was closed before it was released"
        case .forked: "this process is a fork of the one that holds it"
        default: "lockd says that it is not held"
        }
    }

    private static func explanation(_ revocation: Revocation) -> String {
        var words = "it was revoked"
        if let process = revocation.processID { words += " by pid \(process)" }
        if let user = revocation.userID { words += " of uid \(user)" }
        if let why = revocation.why { words += ": \(Sentence.quotable(why))" }
        return words
    }
}

extension LeaseLoss.Revocation {
    init(user: UserID?, process: ProcessID?, why: Text?) {
        userID = user?.value
        processID = process?.value
        self.why = why.map { String(decoding: $0.bytes, as: UTF8.self) }
    }
}
