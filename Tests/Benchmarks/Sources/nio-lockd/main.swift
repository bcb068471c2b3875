// lockd's table and wire code on SwiftNIO instead of lockd's own event loop, to measure what the loop makes of it.
//
// The same work for each request as in lockd, by the same LockService, on one thread; one read and one write for each ready connection and
// turn. What the load generator does not ask for is left out: deadlines, the death of the peer, clients that do not read.

import LockdModel
import LockdServer
import NIOCore
import NIOPosix

/// All sessions, and the service that answers them.
///
/// It belongs to the one event loop.
final class Shell {
    var service: LockService
    var contexts: [SessionID: ChannelHandlerContext] = [:]

    init() {
        let first = FencingToken(1_795_428_843_123_457)
        service = LockService(
            identity: .init(version: "nio", process: ProcessID(0), startTime: 0),
            limits: Limits(),
            firstBlock: first...FencingToken(first.value + 1 << 40),
            tokens: EndlessTokens(),
            at: Self.now(),
            flush: { _ in }
        )
    }

    static func now() -> MonotonicInstant {
        MonotonicInstant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds))
    }

    /// Writes once to each session that has something to be told.
    func writeOutputs() {
        var dirty: [Session] = []
        service.takeDirtySessions(into: &dirty)
        for session in dirty {
            guard let context = contexts[session.id] else { continue }
            session.drainOutput { bytes in
                context.writeAndFlush(NIOAny(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
                return bytes.count
            }
            service.outputWasWritten(of: session)
        }
    }
}

/// The first block is larger than any benchmark needs.
final class EndlessTokens: TokenSupply {
    func beginReservation() {}
    func takeReservation() -> FencingToken? { nil }
    func waitForReservation() -> FencingToken { fatalError("the first block of tokens is used up") }
}

final class SessionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let shell: Shell
    private var session: Session?

    init(shell: Shell) { self.shell = shell }

    func channelActive(context: ChannelHandlerContext) {
        let session = shell.service.open(Peer(process: ProcessID(0), user: .root), at: Shell.now())
        shell.contexts[session.id] = context
        self.session = session
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let session else { return }
        unwrapInboundIn(data).withUnsafeReadableBytes { shell.service.receive($0, from: session, at: Shell.now()) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        shell.writeOutputs()
        while shell.service.hasRunnableSessions {
            shell.service.resume(at: Shell.now())
            shell.writeOutputs()
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard let session else { return }
        shell.service.end(session, at: Shell.now())
        shell.contexts[session.id] = nil
        shell.writeOutputs()
    }
}

guard CommandLine.arguments.count == 2 else { fatalError("usage: nio-lockd SOCKET-PATH") }
let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
let loop = group.next()
let shell = try loop.submit { NIOLoopBound(Shell(), eventLoop: loop) }.wait()
let listener = try ServerBootstrap(group: group)
    .serverChannelOption(.backlog, value: 4096)
    .childChannelOption(.maxMessagesPerRead, value: 1)
    .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 16 * 1024))
    .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(SessionHandler(shell: shell.value))
        }
    }
    .bind(unixDomainSocketPath: CommandLine.arguments[1])
    .wait()
try listener.closeFuture.wait()
