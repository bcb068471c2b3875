/// Where what is in the file of a ``WriteAheadLog``: a page of header, the bytes that were received and not committed, and a ring of records.
///
/// Numbers are the machine's own: the file means nothing after the next boot, so no other machine reads it.
enum LogLayout {
    /// `lockdlog`, as the bytes stand in the file.
    static let magic: UInt64 = 0x676F_6C64_6B63_6F6C
    /// The version of all that is in the file; a daemon reads its own and the one before.
    static let version: UInt64 = 1

    /// How many bytes are received at a time, at the most.
    static let chunkByteCount = 16 * 1024
    /// Room for what is received between two commits: chunks one behind the other, each with a header, from multiples of eight bytes on.
    static let receiveByteCount = 64 * 1024
    private static let headerByteCount = 4096
    static let receiveStart = headerByteCount
    static let ringStart = headerByteCount + receiveByteCount

    /// What is fixed when the file is made, each 8 bytes long, and a checksum of that.
    enum Fixed {
        static let magic = 0
        static let version = 8
        static let boot = 16  // 16 bytes
        static let pidNamespace = 32
        static let capacity = 40
        static let checksum = 48
    }

    /// What stands before the bytes of a chunk, each 8 bytes long.
    enum Chunk {
        /// Whose they are; 0 if there is no chunk.
        static let session = 0
        /// How many they are; 0 while they are being received.
        static let byteCount = 8
        static let headerByteCount = 16
    }

    /// What changes, each 8 bytes long: the first group with every commit, so they share a cache line of their own.
    enum Field: Int {
        /// Up to here the records are committed. Stored last, in one piece: this is the commit.
        case tail = 128
        /// Up to here the replies were written to the sockets, but for those that are recorded as a backlog.
        case written = 136
        /// From here on there are records.
        case head = 144
        /// The least token that was not granted.
        case nextToken = 152
        /// The number of the last session.
        case lastSession = 160
        /// When the daemon was there last.
        case aliveAt = 168
        /// The tail when the first chunk was received: if it is the tail still, nothing that came of the chunks was committed.
        case receivedAfter = 192
    }
}
