import LockdModel
import LockdWire

/// One step of a deadlock: somebody waits for a lock that somebody else has, or is to have before.
///
/// The texts are strangers'. They are as the protocol spells them: what is not visible ASCII is `%XX`.
public struct DeadlockEdge: Hashable, Sendable, CustomStringConvertible {
    /// Why the waiter cannot have the lock.
    public enum Obstacle: Hashable, Sendable {
        /// It is held, by a lease with this token.
        case lease(held: Duration, token: UInt64)
        /// A request is ahead in the queue.
        case request(waited: Duration)
    }

    /// One of the two.
    public struct Party: Hashable, Sendable {
        /// Its process, 0 if that is outside of the daemon's pid namespace.
        public let processID: Int32?
        /// The user of that process, if the party is not the waiter.
        public let userID: UInt32?
        /// The kernel's command name of that process when it connected, if the party is not the waiter.
        public let command: String?
        /// The systemd unit of that process when it connected, if the party is not the waiter.
        public let unit: String?
        /// The logical thread within its session, if the client named one.
        public let owner: String?
        /// Its session.
        public let sessionID: UInt64?
    }

    /// The lock that the waiter cannot have.
    public let lockName: String
    /// Who waits.
    public let waiter: Party
    /// Who has the lock, or is to have it before.
    public let holder: Party
    /// Why the waiter cannot have the lock.
    public let obstacle: Obstacle

    init(_ line: Reply.EdgeLine) {
        lockName = line.name.string
        waiter = Party(
            processID: line.waiterProcess?.value,
            userID: nil,
            command: nil,
            unit: nil,
            owner: line.waiterOwner?.spelling,
            sessionID: line.waiterSession?.value
        )
        holder = Party(
            processID: line.holder.process?.value,
            userID: line.holder.user?.value,
            command: line.holder.command?.spelling,
            unit: line.holder.unit?.spelling,
            owner: line.holderOwner?.spelling,
            sessionID: line.holder.session?.value
        )
        obstacle =
            switch line.obstacle {
            case .lease(let held, let token): .lease(held: .milliseconds(held.count), token: token.value)
            case .request(let waited): .request(waited: .milliseconds(waited.count))
            }
    }

    /// The step, in words for a person: `pid 12 (owner a) waits for "x", held by pid 13 (deploy) with token 7`.
    public var description: String {
        let name = "\"\(Sentence.quotable(lockName))\""
        return switch obstacle {
        case .lease(_, let token): "\(waiter.words) waits for \(name), held by \(holder.words) with token \(token)"
        case .request: "\(waiter.words) waits for \(name) behind \(holder.words)"
        }
    }
}

extension DeadlockEdge.Party {
    fileprivate var words: String {
        let details = [command, unit, owner.map { "owner \($0)" }].compactMap { $0 }
        let process = processID.map { "pid \($0)" } ?? "a process"
        return details.isEmpty ? process : "\(process) (\(details.joined(separator: ", ")))"
    }
}
