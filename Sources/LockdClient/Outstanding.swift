import LockdModel
import LockdWire

/// A request that was asked for and is not answered yet.
struct Outstanding: Equatable, Sendable {
    /// What the answer is for.
    enum Purpose: Equatable, Sendable {
        case hello
        /// What the daemon had not sent to a session before that was resumed is sent before the answer to this.
        case barrier
        case acquire(LockNames, timeToLive: Milliseconds?)
        /// What is granted is not this client's.
        case boundAcquire(LockNames)
        /// An ACQUIRE whose caller has its answer, or has gone. If it is granted, and not under this token, that is released.
        case over(FencingToken?)
        /// Ends a wait that is over; there is no answer to that one behind the answer to this.
        case cancel(RequestID)
        case release(FencingToken)
        case renew(FencingToken, sentAt: MonotonicInstant)
        /// The end, if `ends`, or the renewal, of a lease that is not this client's.
        case change(LockName, FencingToken, ends: Bool)
        case history(LockName)
        case ping
        /// Gives back what nobody wants. Whatever the answer is, nobody needs it.
        case unwanted
    }

    var purpose: Purpose
    /// What is said to the daemon, and said again to the next one.
    let request: Request
    /// Goes along with the request.
    let descriptor: Descriptor?
    /// When it was asked for.
    let askedAt: MonotonicInstant
    /// Whether the daemon may have read it.
    var isSent = false
    /// Whether the daemon may have read it on a connection before this one.
    var isRepeated = false

    /// Whether it says something about a connection, so that it means nothing to the next one.
    ///
    /// Cancels and renewals are said anew, when it is known what is left to be cancelled and renewed.
    var endsWithConnection: Bool {
        switch purpose {
        case .hello, .barrier, .cancel, .renew: true
        case .acquire, .boundAcquire, .over, .release, .change, .history, .ping, .unwanted: false
        }
    }

    /// Whether it means nothing to another session than the one in which it was asked for.
    var endsWithSession: Bool {
        switch purpose {
        case .hello, .barrier, .cancel, .renew, .over, .release, .unwanted: true
        case .acquire, .boundAcquire, .change, .history, .ping: false
        }
    }

    /// What to say at `now`: a wait takes up from where the caller began to wait.
    func request(at now: MonotonicInstant) -> Request {
        guard case .acquire(var terms) = request, case .after(let timeout) = terms.wait else { return request }
        let waited = now - askedAt
        terms.wait = waited < timeout ? .after(Milliseconds(timeout.count - waited.count)) : .none
        return .acquire(terms)
    }

    /// How long its caller lets it wait, if that is limited and it can wait at all.
    var waitTimeout: Milliseconds? {
        if case .acquire(let terms) = request, case .after(let timeout) = terms.wait { timeout } else { nil }
    }

    /// When its caller gives up, if there is no connection by then and there has been none since `since`; `nil` for never.
    ///
    /// Who asks for something that the daemon answers at once waits for it for ``ClientCore/patience`` only. What ends something is delivered, however long
    /// that takes.
    func givesUp(since: MonotonicInstant) -> MonotonicInstant? {
        switch (purpose, request) {
        case (.acquire, .acquire(let terms)), (.boundAcquire, .acquire(let terms)):
            if let waitTimeout { return askedAt + waitTimeout }
            let isTry = terms.wait == .none || terms.queueLimit == 0
            return isTry ? max(askedAt, since) + ClientCore.patience : nil
        case (.change(_, _, ends: false), _), (.history, _), (.ping, _):
            return max(askedAt, since) + ClientCore.patience
        case (.acquire, _), (.boundAcquire, _), (.change(_, _, ends: true), _), (.hello, _), (.barrier, _), (.over, _),
            (.cancel, _), (.release, _), (.renew, _), (.unwanted, _):
            return nil
        }
    }
}
