import LockdModel

/// A time in which there is a session, and no connection on which it can ask for anything.
struct Absence: Equatable, Sendable {
    /// When the connection was lost.
    let since: MonotonicInstant
    /// What has come of the last attempt to have another one.
    var problem: LockdClientError
    /// When the first caller gives up; `nil` if none does.
    ///
    /// Never too late. It may be too early, if the request it was set for is no more.
    private(set) var nextGiveUp: MonotonicInstant?

    init(since: MonotonicInstant, _ problem: LockdClientError) {
        self.since = since
        self.problem = problem
    }

    /// Sees to it that the caller of `request` is not left waiting.
    mutating func consider(_ request: Outstanding) {
        guard let instant = request.givesUp(since: since) else { return }
        nextGiveUp = min(nextGiveUp ?? instant, instant)
    }

    /// The same, for these requests and no others.
    mutating func considerOnly(_ requests: some Sequence<Outstanding>) {
        nextGiveUp = nil
        for request in requests { consider(request) }
    }
}
