/// Bytes on their way to a socket.
///
/// One thread at a time writes, whichever comes first; what the others add meanwhile goes out behind, in order. So nobody waits for anybody, and no
/// system call is made under the lock.
struct OutputQueue: Sendable {
    /// What is written by one system call.
    struct Message: Equatable, Sendable {
        var bytes: [UInt8] = []
        /// Goes along with the first byte.
        var descriptor: Descriptor?
    }

    private enum State: Equatable {
        /// There is no socket yet: bytes gather. Next: idle.
        case unconnected
        /// Nobody writes. Next: sending.
        case idle
        /// Somebody writes this. Next: idle, full, broken.
        case sending(Message)
        /// The socket takes no more bytes until some were read. Next: idle.
        case full
        /// The socket never takes bytes again; those that are added are dropped.
        case broken
    }

    private var state = State.unconnected
    /// No two without a descriptor follow each other, so nearly always it is one.
    private var waiting: [Message] = []

    /// Whether the socket has to take bytes again before anything can be sent.
    var isFull: Bool { state == .full }

    /// Adds what `write` appends, on its own with `descriptor`, if there is one.
    mutating func append(with descriptor: Descriptor? = nil, _ write: (inout [UInt8]) -> Void) {
        if state == .broken { return }
        if let last = waiting.indices.last, waiting[last].descriptor == nil, descriptor == nil {
            write(&waiting[last].bytes)
        } else {
            var message = Message(descriptor: descriptor)
            write(&message.bytes)
            waiting.append(message)
        }
    }

    mutating func open() {
        if state == .unconnected { state = .idle }
    }

    /// Takes what is to be written now, if there is anything and nobody writes.
    mutating func takeNext() -> Message? {
        guard state == .idle, !waiting.isEmpty else { return nil }
        let message = waiting.removeFirst()
        state = .sending(message)
        return message
    }

    /// The socket has taken the first `count` bytes of what was last taken from here, and with the first of them the descriptor.
    mutating func sent(_ count: Int) {
        guard case .sending(let message) = state else { return }
        precondition(count <= message.bytes.count, "\(count) of \(message.bytes.count) bytes were sent")
        if count == message.bytes.count {
            state = .idle
            return
        }
        state = .full
        var rest = Message(bytes: Array(message.bytes[count...]), descriptor: count == 0 ? message.descriptor : nil)
        if rest.descriptor == nil, let next = waiting.first, next.descriptor == nil {
            rest.bytes += next.bytes
            waiting[0] = rest
        } else {
            waiting.insert(rest, at: 0)
        }
    }

    mutating func becameWritable() {
        if state == .full { state = .idle }
    }

    mutating func breakOff() {
        state = .broken
        waiting = []
    }
}
