import CUnix
import LockdModel

/// The socket of one connection.
///
/// One thread receives and waits, one at a time sends; anybody may shut it down. The descriptor is closed when the last of them has let go
/// of it, so nobody ever uses a descriptor that has become somebody else's.
final class Transport: Sendable {
    private let socket: CInt

    /// The socket, for whoever waits for several things at once.
    var descriptor: CInt { socket }

    /// Connects to the daemon at `path`.
    ///
    /// Blocks while the daemon's backlog is full, for `timeout` at most: the kernel tells when there is room, so nothing is tried again and again. Without one, it
    /// does not block.
    init(path: String, timeout: Milliseconds?) throws(ConnectFailure) {
        socket = try Self.connect(path, timeout)
    }

    deinit { System.close(socket) }

    private static func connect(_ path: String, _ timeout: Milliseconds?) throws(ConnectFailure) -> CInt {
        let socket = try ConnectFailure.check(path, cunix_stream_socket(timeout == nil))
        let deadline = timeout.map { .now() + $0 }
        do throws(ConnectFailure) {
            var result: CInt
            repeat {
                if let deadline { try limitSending(socket, path, until: deadline) }
                result = cunix_connect(socket, path, path.utf8.count)
            } while result == -1 && System.errorNumber == System.ErrorNumber.interrupted
            _ = try ConnectFailure.check(path, result)
            // So that one who has nothing else to wait for can receive and wait in one.
            if timeout == nil { _ = try ConnectFailure.check(path, cunix_set_blocking(socket, true)) }
            return socket
        } catch {
            System.close(socket)
            throw error
        }
    }

    /// Signals do not prolong it: what is left of the time is set anew.
    private static func limitSending(
        _ socket: CInt,
        _ path: String,
        until deadline: MonotonicInstant
    ) throws(ConnectFailure) {
        let left = deadline - .now()
        // Zero would mean for ever.
        if left.count <= 0 { throw ConnectFailure(path: path, number: System.ErrorNumber.tryAgain) }
        _ = try ConnectFailure.check(path, cunix_limit_sending(socket, left.count))
    }

    /// Writes as many bytes of `message` as the socket takes, and with the first of them its descriptor; returns how many, or `nil` if it takes none any more.
    ///
    /// Does not block.
    func send(_ message: OutputQueue.Message) -> Int? {
        let descriptors = message.descriptor.map { [$0.number] } ?? []
        let count = message.bytes.withUnsafeBytes { System.send($0, along: descriptors, to: socket) }
        if count >= 0 { return count }
        return System.errorNumber == System.ErrorNumber.tryAgain ? 0 : nil
    }

    /// What a read brought.
    enum Input {
        case bytes([UInt8])
        case nothing
        case end(problem: String)
    }

    /// How many bytes are read at a time.
    private static let inputSize = 16 * 1024

    /// Reads what is there; blocks until something is, if it `waits`.
    func receive(waits: Bool = false) -> Input {
        var number: CInt = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.inputSize) { buffer, count in
            let result = System.receive(into: UnsafeMutableRawBufferPointer(buffer), from: socket, waits: waits)
            number = result == -1 ? System.errorNumber : 0
            count = max(0, result)
        }
        if !bytes.isEmpty { return .bytes(bytes) }
        switch number {
        case System.ErrorNumber.tryAgain: return .nothing
        // A daemon that ends with requests unread leaves a reset.
        case 0, System.ErrorNumber.connectionReset: return .end(problem: "it has closed the connection")
        default: return .end(problem: System.message(of: number))
        }
    }

    /// Sleeps until there is something to read, if `reads`, or, if `isFull`, the socket takes bytes again, or `deadline` is reached, or `wakeUp` is rung.
    func wait(
        reads: Bool = true,
        isFull: Bool,
        until deadline: MonotonicInstant?,
        _ wakeUp: WakeUp
    ) -> System.Readiness {
        wakeUp.wait(for: socket, reads: reads, writes: isFull, until: deadline)
    }

    /// Sleeps until the socket takes bytes again, or `deadline` is reached.
    func awaitRoom(until deadline: MonotonicInstant?) {
        _ = System.wait(for: socket, reads: false, writes: true, until: deadline)
    }

    /// Ends the connection on both sides.
    ///
    /// A forked child may have inherited the socket, so that closing it here would not end anything.
    func shutDown() {
        System.shutDown(socket)
    }
}
