import CLinux
import Glibc
import LockdModel
import LockdWire
import Testing

@testable import LockdServer

/// How many leases may be bound, in all and for one user.
@Suite struct BinderTests {
    private let connections = ConnectionTable()
    private let binder: DescriptorBinder
    private let loose = LooseDescriptors(limit: 100, ownUser: UserID(1))
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)

    init() throws {
        let bounds = BoundTable(limit: 4, epoll: try Epoll(), loose: loose)
        binder = DescriptorBinder(connections, bounds, loose, limits: Limits())
    }

    @Test func oneUserMayHaveHalfAndRootAll() throws {
        defer { buffer.deallocate() }
        #expect(try bind(1, by: 1000) == nil)
        #expect(try bind(2, by: 1000) == nil)
        #expect(try bind(3, by: 1000) == WireError(.tooManyDescriptors, limit: 2, scope: .user))
        #expect(try bind(4, by: 1001) == nil)
        #expect(try bind(5, by: 0) == nil)
        #expect(try bind(6, by: 0) == WireError(.tooManyDescriptors, limit: 4, scope: .daemon))
        binder.unbind(SessionID(1))
        #expect(try bind(7, by: 1000) == nil)
    }

    @Test func whatIsRefusedIsClosed() throws {
        defer { buffer.deallocate() }
        let pipe = try Pipe()
        let refusal = try bind(1, by: 1000, as: .pidfd, pipe.copyOfReadEnd())
        #expect(refusal?.code == .badDescriptor)
        pipe.closeReadEnd()
        #expect(pipe.losesItsReaders())
    }

    /// Binds the read end of a pipe, or another descriptor, that a new session of a user sends, and says why that is refused.
    private func bind(
        _ id: UInt64,
        by user: UInt32,
        as binding: Binding = .pipe,
        _ descriptor: CInt? = nil
    ) throws -> WireError? {
        let (sockets, pipe, user) = (try ConnectedSockets(), try Pipe(), UserID(user))
        let peer = Peer(process: ProcessID(getpid()), user: user)
        let connection = connections.insert { slot, generation in
            Connection(
                session: Session(id: SessionID(1000 + id), peer: peer, user: UserSessions(user)),
                socket: ClientSocket(descriptor: sockets.near, user: user, loose: loose),
                pidfd: clinux_pidfd_open(getpid()),
                loose: loose,
                slot: slot,
                generation: generation
            )
        }
        defer {
            _ = connections.remove(connection)
            connection.close()
            close(sockets.far)
        }
        try send("x", with: [descriptor ?? pipe.readEnd], to: sockets.far)
        if let descriptor { close(descriptor) }
        _ = connection.read(into: buffer)
        do throws(WireError) {
            _ = try binder.bind(binding, for: connection.session, as: SessionID(id))
            return nil
        } catch {
            return error
        }
    }
}
