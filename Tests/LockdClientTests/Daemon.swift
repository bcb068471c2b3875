import Foundation
import LockdModel
import LockdWire

@testable import LockdClient

/// The real daemon, in a process of its own, on a socket in a directory of its own.
final class Daemon: Sendable {
    let directory: String
    let socket: String
    private let process: Guarded<Running>

    private struct Running: Sendable {
        /// 0 after it was killed.
        var process: pid_t
        /// The end of a pipe at which what it says of itself can be read; kept open, so that it can go on to say it.
        let log: CInt
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Starts a daemon, with these lines as its configuration file; it serves when this returns.
    init(configuration: String = "") throws {
        var template = Array("/tmp/lockd-client-XXXXXX".utf8CString)
        guard let path = mkdtemp(&template) else { throw Failure(description: "mkdtemp: \(errno)") }
        directory = String(cString: path)
        socket = directory + "/lockd.sock"
        try configuration.write(toFile: directory + "/lockd.yaml", atomically: false, encoding: .utf8)
        process = Guarded(try Self.spawn(directory, socket))
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Kills the daemon and waits for its end, if it has not been killed already.
    func kill() {
        process.withLock { running in
            guard running.process != 0 else { return }
            Glibc.kill(running.process, SIGKILL)
            waitpid(running.process, nil, 0)
            close(running.log)
            running.process = 0
        }
    }

    /// Starts the daemon anew, after it was killed.
    func restart() throws {
        kill()
        let started = try Self.spawn(directory, socket)
        process.withLock { $0 = started }
    }

    /// Stops the daemon's process as it is; returns when it stands still.
    func suspend() {
        process.withLock { running in
            _ = Glibc.kill(running.process, SIGSTOP)
            waitpid(running.process, nil, WUNTRACED)
        }
    }

    /// Lets a suspended process go on.
    func resume() {
        process.withLock { _ = Glibc.kill($0.process, SIGCONT) }
    }

    func client() -> LockdClient { LockdClient(socket: socket) }

    /// A session that has nothing to do with any client.
    func session() throws -> BlockingConnection { try BlockingConnection(path: socket) }

    /// The lines about `name`.
    func show(_ name: String) throws -> [Reply] {
        let session = try session()
        session.send(.show(try LockName(name), Request.Page()))
        var lines: [Reply] = []
        while true {
            let line = try session.receive()
            if case .end = line { return lines }
            lines.append(line)
        }
    }

    /// Waits until `count` requests wait for `name`.
    func awaitWaiters(_ count: Int, for name: String) async throws {
        while try show(name).filter(\.isWaiter).count != count { await Task.yield() }
    }

    private static func spawn(_ directory: String, _ socket: String) throws -> Running {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure(description: "pipe: \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let program =
            URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path + "/lockd"
        let arguments = [
            program, "--socket", socket, "--state-dir", directory, "--config", directory + "/lockd.yaml",
        ]
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process = pid_t()
        let result = posix_spawn(&process, program, &actions, nil, &pointers, environ)
        close(ends[1])
        guard result == 0 else { throw Failure(description: "\(program): \(String(cString: strerror(result)))") }
        // It says so when it listens.
        var output = ""
        while !output.contains("started") {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(ends[0], &buffer, buffer.count)
            guard count > 0 else { throw Failure(description: "lockd did not start: \(output)") }
            output += String(decoding: buffer[..<count], as: UTF8.self)
        }
        return Running(process: process, log: ends[0])
    }
}

extension Reply {
    var isWaiter: Bool {
        if case .waiter = self { true } else { false }
    }
}
