import LockdModel

/// Where bytes are received: in the log, where they outlive the daemon, or in memory of its own if there is no log.
final class Receiver {
    private let log: WriteAheadLog?
    private let memory: UnsafeMutableRawBufferPointer?

    init(_ log: WriteAheadLog?) {
        self.log = log
        memory = log == nil ? .allocate(byteCount: LogLayout.receiveByteCount, alignment: 16) : nil
    }

    deinit { memory?.deallocate() }

    /// Where the bytes of a session are to be put.
    func begin(for session: SessionID) -> UnsafeMutableRawBufferPointer {
        guard let log else { return memory ?? UnsafeMutableRawBufferPointer(start: nil, count: 0) }
        log.beginReceiving(for: session)
        return log.receiveBuffer
    }

    /// So many bytes were taken, and what came of that is committed.
    func end(_ count: Int) { log?.endReceiving(count) }
}
