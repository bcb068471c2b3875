import Dispatch
public import LockdModel
import Logging
import Synchronization

/// Where the fencing tokens come from: blocks of them, reserved before they are granted.
public protocol TokenSupply: AnyObject {
    /// Begins to reserve the next block, unless that is under way. Does not block.
    func beginReservation()
    /// The last token of a block that was reserved since the last call, if there is one. Does not block.
    func takeReservation() -> FencingToken?
    /// The last token of the next block. Blocks until it is reserved.
    func waitForReservation() -> FencingToken
}

/// Reserves blocks of tokens in a ``TokenFile``, on a thread of its own, so that a slow disk does not hold up the daemon.
///
/// Each block is twice as long as the one before, up to the largest. Tokens that a daemon leaves behind ungranted are ahead of the wall clock
/// if it ended soon, and the next one has to wait for the clock; so little is reserved for a daemon that has done little.
final class TokenReserver: TokenSupply, Sendable {
    private struct State {
        var isReserving = false
        var nextBlockSize: UInt64
        var reservedThrough: FencingToken?
        var lastReserved: FencingToken
    }

    /// How many tokens are reserved at the start: what the clock goes through in 8 milliseconds.
    static let firstBlockSize: UInt64 = 1 << 13
    /// How many tokens are reserved at a time later: one flush for a million grants.
    static let largestBlockSize: UInt64 = 1 << 20

    private let file: TokenFile
    private let logger: Logger
    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "lockd.tokens")
    private let finished = DispatchSemaphore(value: 0)
    private let secondsBetweenTries: Int = 1

    /// Goes on behind `reservedThrough`, in `file`.
    init(file: TokenFile, reservedThrough: FencingToken, logger: Logger) {
        self.file = file
        self.logger = logger
        state = Mutex(State(nextBlockSize: 2 * Self.firstBlockSize, lastReserved: reservedThrough))
    }

    func beginReservation() {
        let isNew = state.withLock { state in
            defer { state.isReserving = true }
            return !state.isReserving
        }
        if isNew { queue.async { self.reserve() } }
    }

    func takeReservation() -> FencingToken? {
        guard finished.wait(timeout: .now()) == .success else { return nil }
        return finishReservation()
    }

    func waitForReservation() -> FencingToken {
        beginReservation()
        finished.wait()
        return finishReservation()
    }

    private func finishReservation() -> FencingToken {
        state.withLock { state in
            guard let token = state.reservedThrough else {
                preconditionFailure("a reservation has finished without a token")
            }
            state.isReserving = false
            state.reservedThrough = nil
            return token
        }
    }

    /// Tries until it succeeds: without tokens the daemon cannot grant, and with tokens that may come back it must not.
    private func reserve() {
        let (floor, count) = state.withLock { ($0.lastReserved.value + 1, $0.nextBlockSize) }
        do {
            let through = FencingToken(try file.reserve(count, atLeast: floor).upperBound)
            state.withLock { state in
                state.nextBlockSize = min(2 * count, Self.largestBlockSize)
                state.lastReserved = through
                state.reservedThrough = through
            }
            finished.signal()
        } catch {
            logger.error("cannot reserve fencing tokens", metadata: ["error": "\(error)"])
            queue.asyncAfter(deadline: .now() + .seconds(secondsBetweenTries)) { self.reserve() }
        }
    }
}
