import CLinux
import Glibc

/// The terminal that this process and the command share, if there is one.
///
/// The command is in this process's group, as if it had been started in its stead: the terminal's signals go to both, and a command that makes groups of its
/// own, as a shell does, takes the terminal by itself. What is left to do is what the shell of this process expects of the command.
struct ControllingTerminal {
    private let descriptor: CInt
    /// How it was before the command, if that was this process's to change.
    private let modes: termios?

    init?() {
        descriptor = clinux_open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY, 0)
        if descriptor == -1 { return nil }
        var modes = termios()
        let isOurs = tcgetpgrp(descriptor) == getpgrp() && tcgetattr(descriptor, &modes) == 0
        self.modes = isOurs ? modes : nil
    }

    /// Stops this process because the command was stopped by `signal`, unless that has been continued meanwhile; returns when this process goes on.
    ///
    /// Then the shell sees a job that has stopped, as it would have seen the command. Where no shell could continue it, the kernel does not stop it either.
    func stop(by signal: CInt, unlessGoesOn command: pid_t) {
        clinux_stop_by(signal == SIGSTOP ? SIGTSTP : signal, command)
    }

    /// Gives the command the terminal, if this process has it now, and the command has a group of its own.
    func yield(to command: pid_t) {
        let group = getpgid(command)
        if group > 0, group != getpgrp(), tcgetpgrp(descriptor) == getpgrp() {
            _ = clinux_set_foreground(descriptor, group)
        }
    }

    /// Takes the terminal back from a command that was killed and could not do so itself, and puts it in order.
    func restore() {
        guard var modes else { return }
        let group = tcgetpgrp(descriptor)
        let isNobodys = group > 0 && group != getpgrp() && kill(-group, 0) == -1 && errno == ESRCH
        if isNobodys { _ = clinux_set_foreground(descriptor, getpgrp()) }
        if isNobodys || group == getpgrp() { _ = clinux_set_terminal(descriptor, &modes) }
    }
}
