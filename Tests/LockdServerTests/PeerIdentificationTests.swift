import CLinux
import Foundation
import Glibc
import LockdModel
import Testing

@testable import LockdServer

@Suite struct PeerIdentificationTests {
    @Test func peerIsTheProcessThatConnected() throws {
        let pair = try SocketPair()
        let (peer, pidfd) = try #require(try PeerIdentification.identify(pair.accepted))
        defer { close(pidfd) }
        #expect(peer.process == ProcessID(getpid()))
        #expect(peer.user == UserID(geteuid()))
        #expect(peer.command == ProcessStatus.command(of: getpid()))
        #expect(!isReadable(pidfd), "the process is there")
    }

    @Test func pidfdBecomesReadableWhenTheProcessEnds() throws {
        let child = try Child()
        let credentials = clinux_credentials(process: child.process, user: geteuid(), group: getegid())
        let pidfd = PeerIdentification.openByNumber(credentials)
        #expect(pidfd != -1)
        defer { close(pidfd) }
        #expect(!isReadable(pidfd))
        child.kill()
        #expect(isReadable(pidfd))
    }

    @Test func numberOfAnotherUsersProcessIsRefused() throws {
        let child = try Child()
        defer { child.kill() }
        let credentials = clinux_credentials(process: child.process, user: geteuid() + 1, group: getegid())
        #expect(PeerIdentification.openByNumber(credentials) == -1)
    }

    @Test func numberOfNoProcessIsRefused() throws {
        let child = try Child()
        child.kill()
        let credentials = clinux_credentials(process: child.process, user: geteuid(), group: getegid())
        #expect(PeerIdentification.openByNumber(credentials) == -1)
        #expect(PeerIdentification.openByNumber(clinux_credentials(process: 0, user: 0, group: 0)) == -1)
        #expect(PeerIdentification.openByNumber(clinux_credentials(process: -1, user: 0, group: 0)) == -1)
    }

    @Test(arguments: ["sleep", "a b", "x) 1 2 3 (y", "ü%=#", "\u{1}\n\t", "123456789012345"])
    func commandMayHaveAnyBytes(_ name: String) throws {
        let child = try Child(named: name)
        defer { child.kill() }
        let command = try Text(bytes: Array(name.utf8), limit: Text.shortLimit)
        // Until it is the program that was asked for, the child has the name of the thread that made it.
        let deadline = ContinuousClock.now + .seconds(20)
        while ProcessStatus.command(of: child.process) != command, ContinuousClock.now < deadline { sched_yield() }
        #expect(ProcessStatus.command(of: child.process) == command)
        let status = try #require(ProcessStatus(of: child.process))
        #expect(status.user == geteuid())
        #expect(status.startTime > 0)
        #expect(ProcessStatus(of: child.process) == status)
    }

    @Test func commandOfNoProcessIsUnknown() throws {
        let child = try Child()
        child.kill()
        #expect(ProcessStatus.command(of: child.process) == nil)
        #expect(ProcessStatus.command(of: 0) == nil)
        #expect(ProcessStatus(of: child.process) == nil)
    }

    @Test func statusTellsProcessesApart() throws {
        let child = try Child()
        defer { child.kill() }
        #expect(ProcessStatus(of: child.process) != ProcessStatus(of: getpid()))
    }

    private func isReadable(_ descriptor: CInt) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, 0) == 1
    }
}

/// A connection of this process with itself.
private final class SocketPair {
    private let directory: TemporaryDirectory
    private let listener: Listener
    private let client: TestClient
    let accepted: CInt

    init() throws {
        let directory = try TemporaryDirectory()
        self.directory = directory
        let listener = try Listener(path: directory.path + "/s", mode: 0o600)
        self.listener = listener
        client = try TestClient(connectingTo: directory.path + "/s")
        accepted = try check("accept") { clinux_accept(listener.descriptor) }
    }

    deinit {
        close(accepted)
        listener.shutDown()
    }
}
