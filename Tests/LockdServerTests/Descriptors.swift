import CLinux
import CUnix
import Glibc

@testable import LockdServer

/// Functions of the C library that its Swift module leaves out.
enum CLibrary {
    static func pipe2(_ ends: UnsafeMutablePointer<CInt>, _ flags: CInt) -> CInt {
        typealias Function = @convention(c) (UnsafeMutablePointer<CInt>, CInt) -> CInt
        return function("pipe2", Function.self)(ends, flags)
    }

    /// The kernel's number of the calling thread.
    static func gettid() -> pid_t {
        typealias Function = @convention(c) () -> pid_t
        return function("gettid", Function.self)()
    }

    static func memfdCreate(_ name: String) -> CInt {
        typealias Function = @convention(c) (UnsafePointer<CChar>, CUnsignedInt) -> CInt
        let closeOnExec: CUnsignedInt = 1
        return function("memfd_create", Function.self)(name, closeOnExec)
    }

    /// pidfd_open(2) of a thread: Linux 6.9.
    static func threadPidfd(_ thread: pid_t) -> CInt {
        typealias Function = @convention(c) (Int, Int, Int) -> Int
        let number = 434
        return CInt(function("syscall", Function.self)(number, Int(thread), Int(O_EXCL)))
    }

    private static func function<Function>(_ name: String, _ type: Function.Type) -> Function {
        guard let address = dlsym(nil, name) else { preconditionFailure("there is no \(name)") }
        return unsafeBitCast(address, to: type)
    }
}

/// A pipe, whose write end tells whether anybody has the read end.
final class Pipe {
    private(set) var readEnd: CInt
    private(set) var writeEnd: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        _ = try check("pipe2") { CLibrary.pipe2(&ends, O_CLOEXEC) }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        closeReadEnd()
        closeWriteEnd()
    }

    func closeReadEnd() {
        if readEnd != -1 { close(readEnd) }
        readEnd = -1
    }

    func closeWriteEnd() {
        if writeEnd != -1 { close(writeEnd) }
        writeEnd = -1
    }

    /// One more descriptor of the read end.
    func copyOfReadEnd() throws -> CInt {
        try check("fcntl") { fcntl(readEnd, F_DUPFD_CLOEXEC, 0) }
    }

    /// Hands over the read end.
    func takeReadEnd() -> CInt {
        defer { readEnd = -1 }
        return readEnd
    }

    /// Whether no descriptor of the read end is left anywhere, after waiting for that, but not for ever.
    func losesItsReaders(within milliseconds: CInt = 20_000) -> Bool {
        var entry = pollfd(fd: writeEnd, events: 0, revents: 0)
        return retryingOnInterrupt { poll(&entry, 1, milliseconds) } == 1 && entry.revents & Int16(POLLERR) != 0
    }
}

/// A socket whose last descriptor cannot be closed at once: close() waits until the other side has read what was sent.
final class LingeringSocket {
    private(set) var descriptor: CInt
    private var otherSide: CInt

    init() throws {
        let listener = try check("socket") { socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        descriptor = try check("socket") { socket(AF_INET, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0) }
        let (mine, size) = (descriptor, length)
        _ = try withUnsafeMutableBytes(of: &address) { bytes in
            let address = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
            _ = try check("bind") { bind(listener, address, size) }
            _ = try check("listen") { listen(listener, 1) }
            _ = try check("getsockname") { getsockname(listener, address, &length) }
            _ = try check("connect") { connect(mine, address, size) }
        }
        otherSide = try check("accept") { clinux_accept(listener) }
        var option = linger(l_onoff: 1, l_linger: 1000)
        _ = try check("setsockopt") {
            setsockopt(mine, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        }
        let bytes = [UInt8](repeating: 0, count: 65536)
        while send(mine, bytes, bytes.count, CInt(MSG_DONTWAIT)) > 0 {}
    }

    deinit {
        letGo()
        if descriptor != -1 { close(descriptor) }
    }

    /// Hands over the descriptor.
    func takeDescriptor() -> CInt {
        defer { descriptor = -1 }
        return descriptor
    }

    /// Lets whoever closes it go on.
    func letGo() {
        if otherSide != -1 { close(otherSide) }
        otherSide = -1
    }
}

/// Two sockets that are connected with each other.
struct ConnectedSockets {
    let near: CInt
    let far: CInt

    init() throws {
        var ends: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        _ = try check("socketpair") { socketpair(AF_UNIX, type, 0, &ends) }
        (near, far) = (ends[0], ends[1])
    }
}

/// Sends bytes with descriptors, which stay the caller's.
func send(_ text: String, with descriptors: [CInt], to socket: CInt) throws {
    let bytes = Array(text.utf8)
    let count = try check("sendmsg") { cunix_send(socket, bytes, bytes.count, descriptors, descriptors.count, true) }
    precondition(count == bytes.count, "\(count) of \(bytes.count) bytes were sent")
}
