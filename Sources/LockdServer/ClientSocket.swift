import CLinux
import Glibc
import LockdModel

/// The daemon's end of a connection.
///
/// Whatever is read from it, or left in it when it is closed, can have descriptors with it. The kernel would close those in the thread that
/// drops them, and that can block, so none is ever dropped by accident.
struct ClientSocket {
    let descriptor: CInt
    /// Whose client it is; the overflow user, if that is not known.
    let user: UserID
    let loose: LooseDescriptors

    /// What a read brought.
    enum Input {
        case bytes(UnsafeRawBufferPointer)
        case nothing
        case end
        /// With the next bytes come descriptors, and of this user no more are taken. They were not read.
        case tooManyDescriptors
    }

    /// Reads what is there, as much as `buffer` holds.
    ///
    /// `body` is called with each descriptor that came along, which is counted as loose already.
    func read(into buffer: UnsafeMutableRawBufferPointer, _ body: (CInt) -> Void) -> Input {
        var length = buffer.count
        if loose.isFull(for: user) {
            var hasDescriptors = false
            // Not into the buffer: what is put there counts as received.
            let count = withUnsafeTemporaryAllocation(byteCount: length, alignment: 1) { peeked in
                retryingOnInterrupt { clinux_peek(descriptor, peeked.baseAddress, length, &hasDescriptors) }
            }
            if hasDescriptors { return .tooManyDescriptors }
            // No more than was looked at: there may be more by now.
            if count > 0 { length = count }
        }
        let count = receive(buffer.baseAddress, length, body)
        if count > 0 { return .bytes(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
        if count == -1 && errno == EAGAIN { return .nothing }
        // A reset is an end: a client that closes with replies unread leaves one.
        return .end
    }

    private func receive(_ buffer: UnsafeMutableRawPointer?, _ length: Int, _ body: (CInt) -> Void) -> Int {
        withUnsafeTemporaryAllocation(of: CInt.self, capacity: CLINUX_DESCRIPTORS_MAXIMUM) { descriptors in
            var descriptorCount = 0
            let count = retryingOnInterrupt {
                clinux_receive(descriptor, buffer, length, descriptors.baseAddress, &descriptorCount)
            }
            if descriptorCount > 0 {
                loose.add(descriptorCount, of: user)
                descriptors[..<descriptorCount].forEach(body)
            }
            return count
        }
    }

    /// Closes it so that its client finds the end of the stream behind what it was sent.
    ///
    /// Closing a socket with bytes unread resets the connection: the client would find an error instead.
    func close() {
        // From here on nothing more comes.
        shutdown(descriptor, CInt(SHUT_RDWR))
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { unread in
            while true {
                switch read(into: unread, { loose.close($0, of: user) }) {
                case .bytes: continue
                case .nothing, .end:
                    Glibc.close(descriptor)
                case .tooManyDescriptors:
                    // Together with those that are left in it.
                    loose.add(1, of: user)
                    loose.close(descriptor, of: user)
                }
                return
            }
        }
    }
}
