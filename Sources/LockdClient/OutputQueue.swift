/// Bytes on their way to a socket.
///
/// One thread at a time writes, whichever comes first; what the others add meanwhile goes out behind, in order. So nobody waits for anybody, and no
/// system call is made under the lock.
struct OutputQueue: Sendable {
    private enum State: Equatable {
        /// There is no socket yet: bytes gather. Next: idle.
        case unconnected
        /// Nobody writes. Next: sending.
        case idle
        /// Somebody writes these bytes. Next: idle, full, broken.
        case sending([UInt8])
        /// The socket takes no more bytes until some were read. Next: idle.
        case full
        /// The socket never takes bytes again; those that are added are dropped.
        case broken
    }

    private var state = State.unconnected
    private var waiting: [UInt8] = []

    /// Whether the socket has to take bytes again before anything can be sent.
    var isFull: Bool { state == .full }

    /// Adds what `write` appends.
    mutating func append(_ write: (inout [UInt8]) -> Void) {
        if state != .broken { write(&waiting) }
    }

    mutating func open() {
        if state == .unconnected { state = .idle }
    }

    /// Takes what is to be written now, if there is anything and nobody writes.
    mutating func takeNext() -> [UInt8]? {
        guard state == .idle, !waiting.isEmpty else { return nil }
        let bytes = waiting
        state = .sending(bytes)
        waiting = []
        return bytes
    }

    /// The socket has taken the first `count` bytes of those that were last taken from here.
    mutating func sent(_ count: Int) {
        guard case .sending(let bytes) = state else { return }
        precondition(count <= bytes.count, "\(count) of \(bytes.count) bytes were sent")
        state = count == bytes.count ? .idle : .full
        waiting.insert(contentsOf: bytes[count...], at: 0)
    }

    mutating func becameWritable() {
        if state == .full { state = .idle }
    }

    mutating func breakOff() {
        state = .broken
        waiting = []
    }
}
