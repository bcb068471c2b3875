import CLinux
import Foundation
import Glibc

@testable import LockdServer

/// A process that does nothing.
final class Child {
    let process: pid_t

    /// A process with the kernel's command name `name`: that of the file that it executes.
    ///
    /// It has `inherited` open, if that is one.
    init(named name: String = "sleep", inheriting inherited: CInt? = nil) throws {
        let directory = try TemporaryDirectory()
        let link = directory.path + "/" + name
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "/bin/sleep")
        var child: pid_t = 0
        var arguments: [UnsafeMutablePointer<CChar>?] = [strdup(name), strdup("1000"), nil]
        defer { arguments.forEach { free($0) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Onto itself: it is not closed by exec then.
        if let inherited { posix_spawn_file_actions_adddup2(&actions, inherited, inherited) }
        let error = posix_spawn(&child, link, &actions, nil, &arguments, nil)
        guard error == 0 else {
            errno = error
            throw SystemError("posix_spawn \(link)")
        }
        process = child
    }

    /// Ends it, and waits until it is gone.
    func kill() {
        Glibc.kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }

    /// Ends it and leaves its remains, which keep its number.
    func killWithoutReaping() {
        Glibc.kill(process, SIGKILL)
        var information = siginfo_t()
        waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT)
    }
}
