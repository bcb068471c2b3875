import LockdModel
import LockdWire

/// Something that has happened to a lock, or to several at once.
public enum WatchEvent: Hashable, Sendable {
    /// Whose lease or request it is, and on which locks.
    public struct Subject: Hashable, Sendable {
        /// The names of the locks, in the order in which they were asked for.
        ///
        /// They are a stranger's, with replacements for bytes that are not UTF-8.
        public let lockNames: [String]
        /// The process that holds or waits.
        public let peer: LockPeer
        /// What it says of itself, as the protocol spells it.
        public let note: String?
    }

    /// Why a wait ended without a lease.
    public enum UnqueueReason: Hashable, Sendable {
        /// It ran out.
        case timeout
        /// Somebody ended it, or it ended with its session, or with what the lease was to be bound to.
        case cancelled
    }

    /// A request begins to wait, in this place of the queue.
    case queued(Subject, position: Int)
    /// A wait has ended without a lease.
    case unqueued(Subject, waited: Duration, reason: UnqueueReason)
    /// A lease was granted.
    case granted(Subject, token: UInt64, waited: Duration)
    /// A lease has ended.
    case ended(Subject, Hold.Outcome, token: UInt64, held: Duration)
    /// So many events are not told, because this process did not take them in time; `nil` if nobody knows whether any and how many, because the daemon has
    /// restarted and does not remember the watch.
    case missed(count: UInt64?)

    init(_ event: LockdWire.WatchEvent) {
        self =
            switch event {
            case .queued(let names, let peer, let position, let note):
                .queued(Subject(names, peer, note), position: position)
            case .unqueued(let names, let peer, let waited, let reason):
                .unqueued(
                    Subject(names, peer, nil),
                    waited: .milliseconds(waited.count),
                    reason: reason == .timeout ? .timeout : .cancelled
                )
            case .granted(let names, let peer, let token, let waited, let note):
                .granted(Subject(names, peer, note), token: token.value, waited: .milliseconds(waited.count))
            case .over(let names, let peer, let outcome, let token, let held, let note):
                .ended(
                    Subject(names, peer, note),
                    Hold.Outcome(outcome),
                    token: token.value,
                    held: .milliseconds(held.count)
                )
            case .missed(let count): .missed(count: count)
            }
    }
}

extension WatchEvent.Subject {
    fileprivate init(_ names: LockNames, _ peer: Reply.Peer, _ note: Text?) {
        self.init(lockNames: names.strings, peer: LockPeer(peer), note: note?.spelling)
    }
}
