import CLinux
import Glibc
import Testing

@testable import Systemd

@Suite struct ListenDescriptorsTests {
    private let sockets = Sockets()

    @Test func theListenerIsFoundByItsNameWhereverItStands() throws {
        let (bag, listener, other) = (try sockets.pair(), try sockets.listening(), try sockets.pair())
        let passed = try ListenDescriptors([
            .init(name: "lockd.bag-2", descriptor: bag), .init(name: "lockd.sock", descriptor: listener),
            .init(name: "lockd.bag", descriptor: other),
        ])
        #expect(passed.listener == listener)
        #expect(
            passed.stored == [
                .init(name: "lockd.bag-2", descriptor: bag), .init(name: "lockd.bag", descriptor: other),
            ]
        )
        for descriptor in [bag, listener, other] {
            #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
            #expect(fcntl(descriptor, F_GETFL) & O_NONBLOCK != 0)
        }
    }

    @Test func withoutAnythingPassedThereIsNothing() throws {
        let passed = try ListenDescriptors([])
        #expect(passed.listener == nil)
        #expect(passed.stored.isEmpty)
    }

    @Test func aNameThatIsNotKnownIsRefused() throws {
        let listener = try sockets.listening()
        #expect(
            try problem(.init(name: "unk\u{1B}nown", descriptor: listener))
                == "a descriptor with the name \"unk?nown\" was passed, which lockd does not know; the socket unit of lockd needs "
                + "FileDescriptorName=lockd.sock, systemd-socket-activate --fdname=lockd.sock"
        )
    }

    @Test func twoListenersAreRefused() throws {
        let (one, other) = (try sockets.listening(), try sockets.listening())
        #expect(
            try problem(.init(name: "lockd.sock", descriptor: one), .init(name: "lockd.sock", descriptor: other))
                == "two sockets with the name lockd.sock were passed; lockd listens on one"
        )
    }

    @Test func whatIsNoListeningStreamSocketIsRefused() throws {
        #expect(
            try problem(of: sockets.pipe())
                == "lockd.sock is not a Unix socket; the socket unit needs ListenStream= with a path"
        )
        #expect(
            try problem(of: sockets.socket(AF_INET, SOCK_STREAM))
                == "lockd.sock is not a Unix socket; the socket unit needs ListenStream= with a path"
        )
        #expect(
            try problem(of: sockets.socket(AF_UNIX, SOCK_DGRAM))
                == "lockd.sock is not a stream socket; the socket unit needs ListenStream="
        )
        #expect(
            try problem(of: sockets.pair())
                == "lockd.sock does not listen, it is a connection; the socket unit needs Accept=no"
        )
    }

    @Test func aDescriptorThatIsNotOpenIsRefused() throws {
        #expect(try problem(of: 1_000_000) == "sd_is_socket: Bad file descriptor")
    }

    private func problem(of descriptor: CInt) throws -> String {
        try problem(.init(name: "lockd.sock", descriptor: descriptor))
    }

    private func problem(_ passed: ListenDescriptors.Named...) throws -> String {
        try #require(#expect(throws: SystemdError.self) { try ListenDescriptors(passed) }).description
    }
}

/// Sockets of all kinds, closed at the end.
private final class Sockets {
    private var descriptors: [CInt] = []

    deinit { descriptors.forEach { close($0) } }

    func socket(_ family: CInt, _ type: __socket_type) throws -> CInt {
        let descriptor = Glibc.socket(family, CInt(type.rawValue), 0)
        try #require(descriptor != -1)
        descriptors.append(descriptor)
        return descriptor
    }

    /// One that listens: the kernel finds a name for it.
    func listening() throws -> CInt {
        let descriptor = try socket(AF_UNIX, SOCK_STREAM)
        var address = sockaddr(sa_family: sa_family_t(AF_UNIX), sa_data: (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        try #require(bind(descriptor, &address, socklen_t(MemoryLayout<sa_family_t>.size)) == 0)
        try #require(listen(descriptor, 1) == 0)
        return descriptor
    }

    func pair() throws -> CInt {
        var ends: [CInt] = [-1, -1]
        try #require(socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends) == 0)
        descriptors += ends
        return ends[0]
    }

    func pipe() throws -> CInt {
        var ends: [CInt] = [-1, -1]
        try #require(clinux_pipe(&ends) == 0)
        descriptors += ends
        return ends[0]
    }
}
