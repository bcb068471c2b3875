public import LockdModel

extension Reply {
    /// One edge of a deadlock: who waits for whom.
    public struct EdgeLine: Hashable, Sendable {
        /// What is in the way of the waiter.
        public enum Obstacle: Hashable, Sendable {
            /// A lease, held for `held`.
            case lease(held: Milliseconds, token: FencingToken)
            /// A request ahead in the queue, waiting for `waited`.
            case request(waited: Milliseconds)
        }

        /// The name that the waiter cannot have.
        public var name: LockName
        /// The process that waits.
        public var waiterProcess: ProcessID?
        /// Which logical thread of its session waits, if the client names one.
        public var waiterOwner: Text?
        /// The session that waits.
        public var waiterSession: SessionID?
        /// Who holds the name, or is ahead in its queue.
        public var holder: Peer
        /// Which logical thread of the holder's session that is, if the client names one.
        public var holderOwner: Text?
        /// What of the holder's is in the way.
        public var obstacle: Obstacle

        /// An edge with these values.
        public init(
            name: LockName,
            waiterProcess: ProcessID?,
            waiterOwner: Text? = nil,
            waiterSession: SessionID?,
            holder: Peer,
            holderOwner: Text? = nil,
            obstacle: Obstacle
        ) {
            self.name = name
            self.waiterProcess = waiterProcess
            self.waiterOwner = waiterOwner
            self.waiterSession = waiterSession
            self.holder = holder
            self.holderOwner = holderOwner
            self.obstacle = obstacle
        }
    }
}
