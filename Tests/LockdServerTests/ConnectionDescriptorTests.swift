import CLinux
import Glibc
import LockdModel
import Testing

@testable import LockdServer

/// What comes along with the bytes of a session.
@Suite struct ConnectionDescriptorTests {
    private let client: CInt
    private let connection: Connection
    private let loose = LooseDescriptors(limit: 20, ownUser: UserID(1))
    private let user = UserID(1000)
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1024, alignment: 16)

    init() throws {
        let sockets = try ConnectedSockets()
        client = sockets.far
        let socket = ClientSocket(descriptor: sockets.near, user: user, loose: loose)
        let peer = Peer(process: ProcessID(getpid()), user: user)
        let session = Session(id: SessionID(1), peer: peer, user: UserSessions(user))
        connection = Connection(
            session: session,
            socket: socket,
            pidfd: clinux_pidfd_open(getpid()),
            loose: loose,
            slot: 0,
            generation: 0
        )
    }

    @Test func bytesComeWithoutDescriptors() throws {
        defer { end() }
        try send("PING\n", with: [], to: client)
        #expect(read() == "PING\n")
        #expect(connection.takeDescriptor() == nil)
        #expect(read() == nil, "there is no more")
        shutdown(client, CInt(SHUT_WR))
        guard case .end = connection.read(into: buffer) else {
            Issue.record("the end was not seen")
            return
        }
    }

    @Test func descriptorComesWithItsBytesAndIsHandedOver() throws {
        defer { end() }
        let pipe = try Pipe()
        try send("ACQUIRE db\n", with: [pipe.readEnd], to: client)
        pipe.closeReadEnd()
        #expect(read() == "ACQUIRE db\n")
        #expect(loose.count(of: user) == 1)
        let descriptor = try #require(connection.takeDescriptor())
        #expect(loose.count == 0, "it is the taker's")
        #expect(connection.takeDescriptor() == nil)
        connection.discardDescriptors()
        #expect(fcntl(descriptor, F_GETFD) == FD_CLOEXEC)
        write(pipe.writeEnd, "x", 1)
        var byte: UInt8 = 0
        #expect(Glibc.read(descriptor, &byte, 1) == 1)
        close(descriptor)
    }

    @Test func oldestIsHandedOverFirst() throws {
        defer { end() }
        let (first, second, third) = (try Pipe(), try Pipe(), try Pipe())
        try send("a\n", with: [first.readEnd, second.readEnd], to: client)
        try send("b\n", with: [third.readEnd], to: client)
        // The kernel ends a read behind the bytes with which descriptors come.
        #expect(read() == "a\n")
        #expect(read() == "b\n")
        for pipe in [first, second, third] {
            let descriptor = try #require(connection.takeDescriptor())
            pipe.closeReadEnd()
            #expect(!pipe.losesItsReaders(within: 0))
            close(descriptor)
            #expect(pipe.losesItsReaders(within: 0))
        }
    }

    @Test func allThatOneMessageCanBringAreTakenAndTheExcessIsClosed() throws {
        defer { end() }
        let pipe = try Pipe()
        try send("x", with: Array(repeating: pipe.readEnd, count: CLINUX_DESCRIPTORS_MAXIMUM), to: client)
        pipe.closeReadEnd()
        #expect(read() == "x")
        for _ in 0..<ReceivedDescriptors.limit { close(try #require(connection.takeDescriptor())) }
        #expect(connection.takeDescriptor() == nil)
        #expect(pipe.losesItsReaders())
    }

    @Test func whatNobodyClaimsIsClosed() throws {
        defer { end() }
        let pipe = try Pipe()
        try send("PING\n", with: [pipe.readEnd, pipe.readEnd], to: client)
        pipe.closeReadEnd()
        #expect(read() == "PING\n")
        #expect(!pipe.losesItsReaders(within: 0))
        connection.discardDescriptors()
        #expect(connection.takeDescriptor() == nil)
        #expect(pipe.losesItsReaders())
    }

    @Test func endOfTheConnectionClosesThemReadOrUnread() throws {
        let (taken, unread) = (try Pipe(), try Pipe())
        try send("a", with: [taken.readEnd], to: client)
        #expect(read() == "a")
        for _ in 0..<50 { try send("b", with: [unread.readEnd], to: client) }
        taken.closeReadEnd()
        unread.closeReadEnd()
        end()
        #expect(taken.losesItsReaders())
        #expect(unread.losesItsReaders())
    }

    @Test func whoHasTooManyCanSendBytesButNoMoreDescriptors() throws {
        let (hanging, rest) = (try LingeringSocket(), try Pipe())
        loose.add(10, of: user)
        loose.close(hanging.takeDescriptor(), of: user)
        for _ in 1..<10 { loose.close(try rest.copyOfReadEnd(), of: user) }
        rest.closeReadEnd()

        let pipe = try Pipe()
        try send("PING\n", with: [], to: client)
        #expect(read() == "PING\n")
        try send("PING\n", with: [], to: client)
        try send("STATS\n", with: [pipe.readEnd], to: client)
        pipe.closeReadEnd()
        guard case .tooManyDescriptors = connection.read(into: buffer) else {
            Issue.record("descriptors were taken")
            return
        }
        end()
        #expect(loose.count(of: user) == 11, "the connection waits to be closed as it is")
        #expect(!pipe.losesItsReaders(within: 0))
        hanging.letGo()
        #expect(pipe.losesItsReaders())
    }

    @Test func readingAndClosingNeverWaitForAClosing() throws {
        let (first, second, unread) = (try LingeringSocket(), try LingeringSocket(), try LingeringSocket())
        try send("a", with: [first.descriptor], to: client)
        close(first.takeDescriptor())
        #expect(read() == "a")
        connection.discardDescriptors()
        try send("b", with: [second.descriptor], to: client)
        close(second.takeDescriptor())
        #expect(read() == "b")
        try send("c", with: [unread.descriptor], to: client)
        close(unread.takeDescriptor())
        end()
        #expect(loose.count(of: user) == 3)
        for socket in [first, second, unread] { socket.letGo() }
    }

    private func read() -> String? {
        guard case .bytes(let bytes) = connection.read(into: buffer) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func end() {
        connection.close()
        close(client)
        buffer.deallocate()
    }
}
