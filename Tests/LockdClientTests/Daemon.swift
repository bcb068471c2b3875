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
        /// 0 after it has ended.
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
        end()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Sends `signal` to the daemon and waits for its end, if it has not ended already.
    func end(_ signal: CInt = SIGKILL) {
        process.withLock { running in
            guard running.process != 0 else { return }
            kill(running.process, signal)
            waitpid(running.process, nil, 0)
            close(running.log)
            running.process = 0
        }
    }

    /// Ends the daemon and starts the next one; it serves when this returns.
    func restart(_ signal: CInt = SIGKILL) throws {
        end(signal)
        try start()
    }

    /// Starts a daemon, after the one before has ended.
    func start() throws {
        let started = try Self.spawn(directory, socket)
        process.withLock { $0 = started }
    }

    /// Stops the daemon's process as it is; returns when it stands still.
    func suspend() {
        process.withLock { running in
            _ = kill(running.process, SIGSTOP)
            waitpid(running.process, nil, WUNTRACED)
        }
    }

    /// Lets a suspended process go on.
    func resume() {
        process.withLock { _ = kill($0.process, SIGCONT) }
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
        while try show(name).filter(\.isWaiter).count != count {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    /// Starts a process that holds `name` by its session, until it is killed.
    func spawnHolder(of name: String) throws -> pid_t {
        // The lease of lockctl run would be bound to its command as well.
        let said = #"EXEC:"sh -c 'echo HELLO 1; echo ACQUIRE \#(name); exec sleep 60'""#
        return try Self.spawn(["/usr/bin/socat", said, "UNIX-CONNECT:\(socket)"])
    }

    /// The path of a program that was built along with the tests.
    private static func program(_ name: String) -> String {
        URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path + "/" + name
    }

    /// Starts a program, which writes what it says of itself to `log`, if there is one.
    private static func spawn(_ arguments: [String], log: CInt? = nil) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        // Whatever outlives the tests must not keep open what whoever runs them reads to its end.
        for output in [STDOUT_FILENO, STDERR_FILENO] {
            posix_spawn_file_actions_addopen(&actions, output, "/dev/null", O_WRONLY, 0)
        }
        if let log { posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO) }
        defer { posix_spawn_file_actions_destroy(&actions) }
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process = pid_t()
        let result = posix_spawn(&process, arguments[0], &actions, nil, &pointers, environ)
        guard result == 0 else { throw Failure(description: "\(arguments): \(String(cString: strerror(result)))") }
        return process
    }

    private static func spawn(_ directory: String, _ socket: String) throws -> Running {
        var ends: [CInt] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure(description: "pipe: \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let arguments = ["--socket", socket, "--state-dir", directory, "--config", directory + "/lockd.yaml"]
        let process = try spawn([program("lockd")] + arguments, log: ends[1])
        close(ends[1])
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
