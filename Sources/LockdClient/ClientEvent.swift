import LockdModel
import LockdWire

/// What one caller waits for an answer to; its number is the tag of the request.
struct RequestID: Hashable, Comparable, Sendable {
    let value: UInt64

    var tag: Tag { Tag(value) }

    init(_ value: UInt64) { self.value = value }

    /// The request that the client sent under `tag`, if it is one of the client's tags.
    init?(_ tag: Tag) {
        guard let value = UInt64(tag.spelling) else { return nil }
        self.value = value
    }

    static func < (left: Self, right: Self) -> Bool { left.value < right.value }
}

/// Tells a connection from those before it, of which events may still be on their way.
struct ConnectionID: Hashable, Sendable {
    let value: UInt64
}

/// What has happened: somebody of this process wants something, or the connection has news.
enum ClientEvent: Equatable, Sendable {
    case acquireRequested(RequestID, AcquireTerms)
    case releaseRequested(RequestID, FencingToken)
    /// The lease is to live as long as what the descriptor stands for.
    case boundAcquireRequested(RequestID, AcquireTerms, Descriptor)
    case boundReleaseRequested(RequestID, LockName, FencingToken)
    case boundRenewRequested(RequestID, LockName, FencingToken, Milliseconds?)
    case historyRequested(RequestID, LockName)
    case pingRequested(RequestID)
    case closeRequested(RequestID)
    /// The caller waits no longer. Of a release that means nothing: it goes on.
    case requestCancelled(RequestID)
    /// Nobody can ask for anything new any more.
    case clientDropped

    case connected(ConnectionID)
    case received(ConnectionID, [UInt8])
    /// So many bytes of what was last to be sent were taken by the socket; if not all, it is full.
    case sent(ConnectionID, byteCount: Int)
    case sendFailed(ConnectionID)
    /// The socket that was full takes bytes again.
    case becameWritable(ConnectionID)
    /// The connection could not be made, or is over.
    case ended(ConnectionID, LockdClientError)

    case timePassed
}

/// What is to be done about it.
enum ClientAction: Equatable, Sendable {
    /// Make the first connection of a session, waiting for room in the daemon's backlog if need be; what comes of it is ``ClientEvent/connected(_:)`` or
    /// ``ClientEvent/ended(_:_:)``.
    case connect(ConnectionID)
    /// Try to make a further connection, without waiting: if it cannot be made, there is another attempt later.
    case reconnect(ConnectionID)
    /// Write to the socket, then say so by ``ClientEvent/sent(_:byteCount:)`` or ``ClientEvent/sendFailed(_:)``. There is one of these at a time.
    case send(ConnectionID, OutputQueue.Message)
    /// Ask to hear ``ClientEvent/becameWritable(_:)``.
    case awaitWritability(ConnectionID)
    /// End the connection, so that both sides see its end.
    case shutDown(ConnectionID)
    /// The caller, who has no answer yet, is told how its wait goes.
    case report(RequestID, WaitProgress)
    /// The caller has its answer.
    case complete(RequestID, Completion)
    case endLease(FencingToken, LeaseEnding)

    enum Completion: Equatable, Sendable {
        case granted(LockNames, FencingToken, after: Predecessor)
        /// The lease is bound, and not this client's to end.
        case bound(LockNames, FencingToken, after: Predecessor)
        case history([Hold])
        case done
        case cancelled
        case failed(LockdClientError)
    }

    enum LeaseEnding: Equatable, Sendable {
        case released
        case lost(LeaseLoss)
    }
}
