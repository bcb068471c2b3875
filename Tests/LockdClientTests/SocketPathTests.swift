import Glibc
import Testing

@testable import LockdClient

@Suite struct SocketPathTests {
    private func find(
        _ argument: String? = nil,
        user: Bool = false,
        environment: [String: String] = [:]
    ) throws -> String {
        try SocketPath.find(argument: argument, user: user, environment: { environment[$0] })
    }

    private static let both = ["LOCKD_SOCKET": "/e/sock", "XDG_RUNTIME_DIR": "/run/user/5"]

    @Test func argumentGoesFirst() throws {
        #expect(try find("/a/sock", environment: Self.both) == "/a/sock")
    }

    @Test func userGoesBeforeTheEnvironment() throws {
        #expect(try find(user: true, environment: Self.both) == "/run/user/5/lockd/lockd.sock")
    }

    @Test func environmentGoesBeforeTheMachine() throws {
        #expect(try find(environment: Self.both) == "/e/sock")
    }

    @Test func machineIsLast() throws {
        #expect(try find(environment: ["XDG_RUNTIME_DIR": "/run/user/5"]) == "/run/lockd/lockd.sock")
    }

    @Test func relativePathIsTakenFromTheCurrentDirectory() throws {
        let directory = try #require(getcwd(nil, 0))
        defer { free(directory) }
        #expect(try find("a/sock") == "\(String(cString: directory))/a/sock")
    }

    @Test(arguments: [
        ("/a", true, ["XDG_RUNTIME_DIR": "/run/user/5"], "choose one"),
        (nil, true, [:], "$XDG_RUNTIME_DIR, which is not set"),
        ("", false, [:], "the socket path is empty"),
        ("/a\0b", false, [:], "NUL"),
        (String(repeating: "/abcdefg", count: 20), false, [:], "160 bytes, the kernel allows 107"),
        (nil, false, ["LOCKD_SOCKET": String(repeating: "/abcdefg", count: 20)], "$LOCKD_SOCKET has 160 bytes"),
    ])
    func isRefused(_ argument: String?, _ user: Bool, _ environment: [String: String], _ words: String) throws {
        let error = #expect(throws: LockdClientError.self) {
            try find(argument, user: user, environment: environment)
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(words) == true, "\(String(describing: error))")
    }

    @Test func longestPathIsAllowed() throws {
        let path = "/" + String(repeating: "a", count: 106)
        #expect(try find(path) == path)
    }
}
