import CLinux
import CUnix
import Foundation
import Glibc
import LockdModel
import Testing

@testable import Systemd

/// Where control groups of version 2 are, if this process may make some.
private let groups: String? = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].first {
    access($0 + "/cgroup.procs", W_OK) == 0
}

@Suite struct PeerUnitTests {
    @Test(.enabled(if: groups != nil, "needs root and control groups of version 2"))
    func aPeerHasTheUnitOfItsControlGroup() throws {
        let unit = "lockd-test-\(getpid()).service"
        let group = try #require(groups) + "/" + unit
        try #require(mkdir(group, 0o755) == 0)
        defer { rmdir(group) }
        let listener = cunix_stream_socket(false)
        defer { close(listener) }
        let path = NSTemporaryDirectory() + "lockd-peer-\(getpid()).sock"
        try #require(clinux_bind_unix(listener, path, path.utf8.count) == 0)
        defer { unlink(path) }
        try #require(listen(listener, 1) == 0)

        let peer = Process()
        peer.executableURL = URL(filePath: "/bin/bash")
        peer.arguments = ["-c", #"echo $$ >"$0/cgroup.procs"; exec socat -u "UNIX-CONNECT:$1" -"#, group, path]
        try peer.run()
        var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        try #require(poll(&entry, 1, 30_000) == 1, "nobody has connected")
        let connection = accept(listener, nil, nil)
        #expect(PeerUnit.name(ofPeer: connection)?.spelling == unit)
        // It ends with its connection; then the group is empty.
        close(connection)
        peer.waitUntilExit()
    }

    @Test func whatIsNoConnectionHasNoUnit() {
        #expect(PeerUnit.name(ofPeer: -1) == nil)
        let socket = clinux_unix_datagram_socket()
        defer { close(socket) }
        #expect(PeerUnit.name(ofPeer: socket) == nil)
    }
}
