import CLinux
import Glibc
import LockdModel

/// What a descriptor in an epoll set stands for.
///
/// The generation tells a connection from an earlier one in the same slot, of which events may still be in the batch.
struct EpollKey: Hashable {
    enum Kind: UInt64 {
        case listener
        case wakeUp
        case stop
        case socket
        case process
        case bound
        /// What was asked of the ``DescriptorStore`` is done.
        case barrier
        case supervisor
    }

    let kind: Kind
    let slot: Int
    let generation: UInt32

    init(_ kind: Kind, slot: Int = 0, generation: UInt32 = 0) {
        self.kind = kind
        self.slot = slot
        self.generation = generation
    }

    /// 4 bits of kind, 28 of slot, 32 of generation.
    var number: UInt64 { kind.rawValue | UInt64(slot) << 4 | UInt64(generation) << 32 }

    init?(number: UInt64) {
        guard let kind = Kind(rawValue: number & 15) else { return nil }
        self.init(kind, slot: Int(number >> 4 & (1 << 28 - 1)), generation: UInt32(number >> 32))
    }
}

/// A set of descriptors to wait for, level-triggered.
final class Epoll {
    /// What a descriptor is watched for, or ready for.
    struct Interest: OptionSet, Hashable {
        let rawValue: UInt32

        static let input = Interest(rawValue: EPOLLIN.rawValue)
        static let output = Interest(rawValue: EPOLLOUT.rawValue)
        /// The other side has closed its sending half, or all.
        static let peerShutDown = Interest(rawValue: EPOLLRDHUP.rawValue)
        /// Both halves are closed, or the socket is broken; always watched for.
        static let hangUp = Interest(rawValue: EPOLLHUP.rawValue | EPOLLERR.rawValue)
    }

    /// How many events one wait returns at the most.
    private static let batchSize = 512

    private let descriptor: CInt
    private var batch: [epoll_event]

    init() throws {
        descriptor = try check("epoll_create1") { epoll_create1(CInt(EPOLL_CLOEXEC)) }
        batch = Array(repeating: epoll_event(), count: Self.batchSize)
    }

    deinit {
        close(descriptor)
    }

    func add(_ watched: CInt, _ interest: Interest, _ key: EpollKey) throws {
        _ = try check("epoll_ctl") {
            clinux_epoll_control(descriptor, EPOLL_CTL_ADD, watched, interest.rawValue, key.number)
        }
    }

    /// Takes a descriptor out.
    ///
    /// Closing it does not do that as long as somebody else has the same open file.
    func remove(_ watched: CInt) {
        let result = clinux_epoll_control(descriptor, EPOLL_CTL_DEL, watched, 0, 0)
        precondition(result == 0, "epoll does not know descriptor \(watched) any more: \(errno)")
    }

    func modify(_ watched: CInt, _ interest: Interest, _ key: EpollKey) {
        let result = clinux_epoll_control(descriptor, EPOLL_CTL_MOD, watched, interest.rawValue, key.number)
        precondition(result == 0, "epoll does not know descriptor \(watched) any more: \(errno)")
    }

    /// Waits until something is ready or `timeout` milliseconds have passed (-1: for ever), and says how many things are.
    ///
    /// ``readiness(at:)`` says which, until the next wait.
    func wait(timeout: CInt) throws -> Int {
        let count = epoll_wait(descriptor, &batch, CInt(Self.batchSize), timeout)
        if count >= 0 { return Int(count) }
        guard errno == EINTR else { throw SystemError("epoll_wait") }
        return 0
    }

    /// What was found ready by the last wait, as number `index` of that.
    func readiness(at index: Int) -> (key: EpollKey, interest: Interest) {
        let event = batch[index]
        guard let key = EpollKey(number: event.data.u64) else {
            preconditionFailure("nothing was added under \(event.data.u64)")
        }
        return (key, Interest(rawValue: event.events))
    }
}

extension MonotonicInstant {
    /// What CLOCK_MONOTONIC says.
    static func now() -> MonotonicInstant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicInstant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
