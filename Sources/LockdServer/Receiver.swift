import LockdModel

/// Where bytes are received: in the log, where they outlive the daemon, or in memory of its own if there is no log.
final class Receiver {
    private let log: WriteAheadLog?
    private let memory: UnsafeMutableRawBufferPointer?

    init(_ log: WriteAheadLog?) {
        self.log = log
        memory = log == nil ? .allocate(byteCount: LogLayout.chunkByteCount, alignment: 16) : nil
    }

    deinit { memory?.deallocate() }

    /// Nothing more can be received before a commit.
    var isFull: Bool { log?.hasRoomToReceive == false }

    /// Where the bytes of a session are to be put; not if it is full.
    func begin(for session: SessionID) -> UnsafeMutableRawBufferPointer {
        log?.beginReceiving(for: session) ?? memory ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
    }

    /// So many bytes were put there.
    func end(_ count: Int) { log?.endReceiving(count) }
}
