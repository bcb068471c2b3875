import CLinux
import CUnix
import Foundation
import Glibc
import Testing

@testable import LockdServer

@Suite struct ListenerTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/lockd.sock" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test(arguments: [mode_t(0o600), 0o660, 0o666])
    func socketHasTheModeFromTheBeginning(_ mode: mode_t) throws {
        let listener = try Listener(path: path, mode: mode)
        defer { listener.shutDown() }
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & S_IFMT == S_IFSOCK)
        #expect(status.st_mode & 0o7777 == mode)
        #expect(throws: Never.self) { try TestClient(connectingTo: path) }
    }

    @Test func staleSocketIsReplaced() throws {
        let stale = try check("socket") { cunix_stream_socket(true) }
        _ = try check("bind") { clinux_bind_unix(stale, path, path.utf8.count) }
        Glibc.close(stale)
        #expect(throws: SystemError.self) { try TestClient(connectingTo: path) }

        let listener = try Listener(path: path, mode: 0o600)
        defer { listener.shutDown() }
        #expect(throws: Never.self) { try TestClient(connectingTo: path) }
    }

    @Test func regularFileIsLeftAlone() throws {
        try Data("precious".utf8).write(to: URL(filePath: path))
        let error = #expect(throws: Listener.Obstacle.self) { try Listener(path: path, mode: 0o600) }
        #expect(
            error?.description == "\(path) is there and is not a socket; move it away or choose another path"
        )
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
    }

    @Test func symbolicLinkIsLeftAlone() throws {
        let target = directory.path + "/target"
        try Data("precious".utf8).write(to: URL(filePath: target))
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
        #expect(throws: Listener.Obstacle.self) { try Listener(path: path, mode: 0o600) }
        #expect(try String(contentsOfFile: target, encoding: .utf8) == "precious")
    }

    @Test func longestPathWorksAndALongerOneIsRefused() throws {
        let room = Int(cunix_path_maximum()) - directory.path.utf8.count - 1
        let longest = directory.path + "/" + String(repeating: "s", count: room)
        let listener = try Listener(path: longest, mode: 0o600)
        defer { listener.shutDown() }
        #expect(throws: Never.self) { try TestClient(connectingTo: longest) }

        let error = #expect(throws: Listener.Obstacle.self) { try Listener(path: longest + "s", mode: 0o600) }
        #expect(error?.description == "the socket path \(longest)s has 108 bytes; the kernel allows 107")
    }

    @Test func missingDirectoryIsNamed() throws {
        let path = directory.path + "/none/lockd.sock"
        let error = #expect(throws: SystemError.self) { try Listener(path: path, mode: 0o600) }
        #expect(error?.description == "bind \(path): No such file or directory")
    }

    @Test func shutDownRemovesTheSocket() throws {
        let listener = try Listener(path: path, mode: 0o600)
        listener.shutDown()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func shutDownLeavesWhatCameInItsPlace() throws {
        let former = try Listener(path: path, mode: 0o600)
        let latter = try Listener(path: path, mode: 0o600)
        defer { latter.shutDown() }
        former.shutDown()
        #expect(throws: Never.self) { try TestClient(connectingTo: path) }
    }
}
