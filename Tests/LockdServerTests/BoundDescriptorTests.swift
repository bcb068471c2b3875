import CLinux
import Glibc
import LockdModel
import Testing

@testable import LockdServer

@Suite struct BoundDescriptorTests {
    private let root = Peer(process: ProcessID(1), user: .root)
    private let own = Peer(
        process: ProcessID(getpid()),
        user: UserID(geteuid()),
        command: ProcessStatus.command(of: getpid())
    )

    // MARK: Pipes

    @Test func readEndOfAPipeListsItsSender() throws {
        let pipe = try Pipe()
        let bound = try BoundDescriptor(checking: pipe.readEnd, as: .pipe, from: own)
        #expect(bound.descriptor == pipe.readEnd)
        #expect(bound.kind == .pipe)
        #expect(bound.user == own.user)
        #expect(bound.peer == own)
    }

    @Test func writeEndIsRefused() throws {
        let pipe = try Pipe()
        #expect(refusal(pipe.writeEnd, .pipe) == .writeEnd)
        let both = clinux_open("/proc/self/fd/\(pipe.readEnd)", O_RDWR | O_CLOEXEC, 0)
        #expect(both != -1)
        #expect(refusal(both, .pipe) == .writeEnd)
        close(both)
    }

    @Test func pipeIsNoPidfd() throws {
        #expect(refusal(try Pipe().readEnd, .pidfd) == .other)
    }

    // MARK: Processes

    @Test func pidfdListsItsProcess() throws {
        let child = try Child(named: "worker")
        defer { child.kill() }
        let command = try Text("worker", limit: Text.shortLimit)
        let deadline = ContinuousClock.now + .seconds(20)
        while ProcessStatus.command(of: child.process) != command, ContinuousClock.now < deadline { sched_yield() }
        try withPidfd(of: child) { pidfd in
            let bound = try BoundDescriptor(checking: pidfd, as: .pidfd, from: own)
            #expect(bound.kind == .pidfd)
            #expect(bound.peer.process == ProcessID(child.process))
            #expect(bound.peer.user == own.user)
            #expect(bound.peer.command == command)
            #expect(bound.peer.unit == ProcessStatus.unit(of: getpid()))
        }
    }

    @Test func endedProcessIsRefused() throws {
        let child = try Child()
        try withPidfd(of: child) { pidfd in
            child.killWithoutReaping()
            #expect(refusal(pidfd, .pidfd) == .ended)
            child.kill()
            #expect(refusal(pidfd, .pidfd) == .ended)
        }
    }

    @Test func processOfAnotherUserIsRefused() throws {
        let child = try Child()
        defer { child.kill() }
        try withPidfd(of: child) { pidfd in
            let stranger = Peer(process: ProcessID(1), user: UserID(geteuid() + 1000))
            #expect(refusal(pidfd, .pidfd, from: stranger) == .foreign(own.user))
            #expect(refusal(pidfd, .pidfd, from: root) == nil)
        }
    }

    @Test func userHasRightsOverItsOwnAndRootOverAll() {
        let (alice, bob) = (UserID(1000), UserID(1001))
        #expect(alice.mayAct(for: alice))
        #expect(!alice.mayAct(for: bob))
        #expect(!alice.mayAct(for: .root))
        #expect(UserID.root.mayAct(for: alice))
        #expect(UserID.root.mayAct(for: .overflow))
        #expect(!UserID.overflow.mayAct(for: .overflow))
        #expect(!UserID.overflow.mayAct(for: alice))
    }

    @Test func overflowUserMayNameTheProcessThatConnected() throws {
        let child = try Child()
        defer { child.kill() }
        try withPidfd(of: child) { pidfd in
            let itself = Peer(process: ProcessID(child.process), user: .overflow)
            #expect(refusal(pidfd, .pidfd, from: itself) == nil)
        }
    }

    /// Its end would not be that of the process.
    @Test func pidfdOfAThreadIsRefused() throws {
        let pidfd = CLibrary.threadPidfd(getpid())
        // Before Linux 6.9 there are none.
        if pidfd == -1 && errno == EINVAL { return }
        #expect(refusal(pidfd, .pidfd) == .other)
        close(pidfd)
    }

    @Test func pidfdIsNoPipe() throws {
        let child = try Child()
        defer { child.kill() }
        try withPidfd(of: child) { #expect(refusal($0, .pipe) == .other) }
    }

    // MARK: Everything else

    @Test(arguments: Binding.allCases)
    func nothingIsRefused(_ kind: Binding) {
        #expect(refusal(nil, kind) == BoundDescriptor.Refusal.none)
        #expect(refusal(-1, kind) == .other)
    }

    @Test(arguments: Binding.allCases)
    func otherDescriptorsAreRefused(_ kind: Binding) throws {
        let directory = try TemporaryDirectory()
        let (pipe, sockets) = (try Pipe(), try ConnectedSockets())
        let named = ["fifo", "anon_inode:[pidfd]", "pipe:[7]"].map { directory.path + "/" + $0 }
        _ = try check("mkfifo") { mkfifo(named[0], 0o600) }
        var others: [(String, CInt)] = [
            ("FIFO", clinux_open(named[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0)),
            ("file called like a pidfd", clinux_open(named[1], O_RDONLY | O_CREAT | O_CLOEXEC, 0o600)),
            ("file called like a pipe", clinux_open(named[2], O_RDONLY | O_CREAT | O_CLOEXEC, 0o600)),
            ("directory", clinux_open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)),
            ("name of a pipe", clinux_open("/proc/self/fd/\(pipe.readEnd)", clinux_path_only | O_CLOEXEC, 0)),
            ("device", clinux_open("/dev/null", O_RDONLY | O_CLOEXEC, 0)),
            ("process's folder", clinux_open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)),
            ("eventfd", eventfd(0, CInt(EFD_CLOEXEC))),
            ("epoll", epoll_create1(CInt(EPOLL_CLOEXEC))),
            ("socket", sockets.near), ("socket", sockets.far),
        ]
        others += ["anon_inode:[pidfd]", "pipe:[7]"].map { ("memfd", CLibrary.memfdCreate($0)) }
        for (name, descriptor) in others {
            #expect(descriptor != -1, "\(name)")
            #expect(refusal(descriptor, kind, from: root) == .other, "\(name)")
            close(descriptor)
        }
    }

    /// What says why it is refused; nothing if it is not.
    private func refusal(
        _ descriptor: CInt?,
        _ kind: Binding,
        from sender: Peer? = nil
    ) -> BoundDescriptor.Refusal? {
        do throws(BoundDescriptor.Refusal) {
            _ = try BoundDescriptor(checking: descriptor, as: kind, from: sender ?? own)
            return nil
        } catch {
            return error
        }
    }

    private func withPidfd(of child: Child, _ body: (CInt) throws -> Void) throws {
        let pidfd = try check("pidfd_open") { clinux_pidfd_open(child.process) }
        defer { close(pidfd) }
        try body(pidfd)
    }
}
