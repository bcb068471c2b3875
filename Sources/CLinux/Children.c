#define _GNU_SOURCE
#include "Children.h"

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int clinux_execute(const char *file, char *const arguments[]) {
    execvp(file, arguments);
    return errno;
}

// Whether this process has been started, by nohup for instance, so that it takes no notice of the signal. The command does not either then.
static bool is_ignored(int signal) {
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

int clinux_forwarded_signalfd(sigset_t *former) {
    static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP};
    static const int own[] = {SIGCONT, SIGCHLD, SIGPIPE, SIGTTOU};
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
        if (!is_ignored(forwarded[i])) sigaddset(&signals, forwarded[i]);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigaddset(&signals, own[i]);
    // With SIGCHLD ignored, as a parent may leave it, children would vanish without a word.
    if (signal(SIGCHLD, SIG_DFL) == SIG_ERR) return -1;
    int error = pthread_sigmask(SIG_BLOCK, &signals, former);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int clinux_next_change(struct clinux_change *change) {
    int status = 0;
    pid_t process;
    do process = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED);
    while (process == -1 && errno == EINTR);
    change->process = process > 0 ? process : 0;
    if (process <= 0) return (int)process;
    if (WIFEXITED(status)) {
        change->what = CLINUX_EXITED;
        change->number = WEXITSTATUS(status);
    } else if (WIFSIGNALED(status)) {
        change->what = CLINUX_KILLED;
        change->number = WTERMSIG(status);
    } else if (WIFSTOPPED(status)) {
        change->what = CLINUX_STOPPED;
        change->number = WSTOPSIG(status);
    } else {
        change->what = CLINUX_CONTINUED;
        change->number = SIGCONT;
    }
    return 0;
}

bool clinux_has_children(void) {
    siginfo_t information;
    return waitid(P_ALL, 0, &information, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static pid_t parent_to_die_with;
static int signal_of_death;

static void look_for_parent(int signal) {
    (void)signal;
    int error = errno;
    if (getppid() != parent_to_die_with) kill(getpid(), signal_of_death);
    errno = error;
}

int clinux_die_with_parent(int signal) {
    pid_t parent = getppid();
    int told_by = signal;
    // The kernel tells it also when no more has ended than the thread of the parent that started this process. In a namespace of processes
    // of its own it cannot be seen which it was.
    if (parent != 0) {
        told_by = SIGRTMIN;
        parent_to_die_with = parent;
        signal_of_death = signal;
        struct sigaction action = {.sa_handler = look_for_parent, .sa_flags = SA_RESTART};
        if (sigaction(told_by, &action, NULL) == -1) return -1;
    }
    // Both may have been blocked or ignored by the parent, whose end would not be noticed then.
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, told_by);
    sigaddset(&both, signal);
    pthread_sigmask(SIG_UNBLOCK, &both, NULL);
    if (is_ignored(signal) && sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL) == -1) return -1;
    if (prctl(PR_SET_PDEATHSIG, told_by, 0, 0, 0) == -1) return -1;
    // Its end in between has sent nothing.
    return getppid() == parent ? 0 : raise(signal);
}

static void end_by(int signal) { _exit(128 + signal); }

void clinux_end_by_signals(void) {
    static const int ending[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    if (getpid() != 1) return;
    struct sigaction action = {.sa_handler = end_by};
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) sigaction(ending[i], &action, NULL);
}

int clinux_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

void clinux_stop_by(int signal, pid_t child) {
    struct sigaction standard = {.sa_handler = SIG_DFL}, former;
    sigset_t just_this, mask;
    sigemptyset(&just_this);
    sigaddset(&just_this, signal);
    pthread_sigmask(SIG_BLOCK, &just_this, &mask);
    sigaction(signal, &standard, &former);
    raise(signal);
    // Whoever continues the whole group from here on takes the signal away again; who did before has continued the child as well.
    siginfo_t change = {.si_pid = 0};
    bool goes_on = waitid(P_PID, child, &change, WCONTINUED | WEXITED | WNOHANG | WNOWAIT) == -1 || change.si_pid != 0;
    if (goes_on) {
        // The process may have been sent one as well.
        static const struct timespec no_time;
        while (sigtimedwait(&just_this, NULL, &no_time) > 0) continue;
    }
    pthread_sigmask(SIG_UNBLOCK, &just_this, NULL);
    // Here the process stands still until it is continued.
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    sigaction(signal, &former, NULL);
}

// Closes all but two descriptors.
static void close_others(int one, int other) {
    int low = one < other ? one : other, high = one < other ? other : one;
    if (low > 0) syscall(SYS_close_range, 0, low - 1, 0);
    if (high - low > 1) syscall(SYS_close_range, low + 1, high - 1, 0);
    syscall(SYS_close_range, high + 1, ~0U, 0);
}

// The process that keeps `held` open until that of `pidfd` has ended.
static void keep_open(int held, int pidfd) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    // Whoever reads what this process would write would wait for its end.
    close_others(held, pidfd);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    while (poll(&end, 1, -1) == -1 && errno == EINTR) continue;
    _exit(0);
}

// How a child is started.
struct start {
    const char *file;
    char *const *arguments;
    const sigset_t *signals;
    const int *inherited;
    size_t inherited_count;
    // What a keeper holds for it; -1: there is none.
    int held;
};

// The child: becomes the file when the gate is opened, and ends if it is closed instead; says why it could not.
static void become(const struct start *start, int gate, int failure) {
    char word;
    ssize_t count;
    do count = read(gate, &word, 1);
    while (count == -1 && errno == EINTR);
    if (count != 1) _exit(1);
    for (size_t i = 0; i < start->inherited_count; i++) fcntl(start->inherited[i], F_SETFD, 0);
    sigprocmask(SIG_SETMASK, start->signals, NULL);
    execvp(start->file, start->arguments);
    int error = errno;
    if (write(failure, &error, sizeof error) == -1) _exit(1);
    _exit(127);
}

// Starts the keeper, if there is to be one, opens the gate, and returns 0 when the child has become what it should, else the error number.
static int open_gate(pid_t child, int held, int gate, int failure) {
    int error = 0;
    if (held != -1) {
        int pidfd = clinux_pidfd_open(child);
        if (pidfd == -1) return errno;
        pid_t keeper = fork();
        if (keeper == 0) keep_open(held, pidfd);
        if (keeper == -1) error = errno;
        // Away from the group, which somebody may kill as a whole, and from the signals of the terminal; here, so that it is before the command can do that.
        if (keeper != -1 && setpgid(keeper, keeper) == -1) error = errno;
        close(pidfd);
    }
    if (error != 0) return error;
    if (write(gate, "", 1) != 1) return errno;
    ssize_t count;
    do count = read(failure, &error, sizeof error);
    while (count == -1 && errno == EINTR);
    return count == sizeof error ? error : 0;
}

static int fork_and_become(pid_t *child, const struct start *start) {
    int gate[2], failure[2];
    if (pipe2(gate, O_CLOEXEC) == -1) return errno;
    if (pipe2(failure, O_CLOEXEC) == -1) {
        int error = errno;
        close(gate[0]);
        close(gate[1]);
        return error;
    }
    pid_t process = fork();
    if (process == 0) {
        close(gate[1]);
        close(failure[0]);
        become(start, gate[0], failure[1]);
    }
    int error = process == -1 ? errno : 0;
    close(failure[1]);
    if (error == 0) error = open_gate(process, start->held, gate[1], failure[0]);
    close(gate[0]);
    close(gate[1]);
    close(failure[0]);
    if (error != 0 && process != -1) waitpid(process, NULL, 0);
    *child = process;
    return error;
}

int clinux_spawn(pid_t *child, const char *file, char *const arguments[], const sigset_t *signals,
                  const int *inherited, size_t inherited_count) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    int error = posix_spawnattr_init(&attributes);
    if (error != 0) return error;
    error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        posix_spawnattr_destroy(&attributes);
        return error;
    }
    // Nothing is ignored in the child that was not ignored in this process before; caught signals become default ones by exec itself.
    error = posix_spawnattr_setsigmask(&attributes, signals);
    if (error == 0) error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    // A descriptor that is copied to its own number is not close-on-exec in the child, says POSIX.
    for (size_t i = 0; i < inherited_count && error == 0; i++)
        error = posix_spawn_file_actions_adddup2(&actions, inherited[i], inherited[i]);
    if (error == 0) error = posix_spawnp(child, file, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    // Unlike execvp, it takes nothing for a script.
    if (error == ENOEXEC) {
        struct start start = {file, arguments, signals, inherited, inherited_count, -1};
        error = fork_and_become(child, &start);
    }
    return error;
}

int clinux_spawn_kept(pid_t *child, const char *file, char *const arguments[], const sigset_t *signals, int held) {
    struct start start = {file, arguments, signals, NULL, 0, held};
    return fork_and_become(child, &start);
}

int clinux_duplicate_high(int descriptor) {
    // Scripts choose one digit as a rule, and 200 in what many have copied from a manual; shells put theirs at 10 or 255.
    struct rlimit limit;
    int lowest = 700;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 710) lowest = (int)limit.rlim_cur / 2;
    return fcntl(descriptor, F_DUPFD_CLOEXEC, lowest);
}

// Blocks SIGTTOU, which stops whoever touches a terminal from the background.
static sigset_t block_terminal_output(void) {
    sigset_t signals, former;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &signals, &former);
    return former;
}

int clinux_set_foreground(int terminal, pid_t group) {
    sigset_t former = block_terminal_output();
    int result = tcsetpgrp(terminal, group);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return result;
}

int clinux_set_terminal(int terminal, const struct termios *modes) {
    sigset_t former = block_terminal_output();
    int result = tcsetattr(terminal, TCSANOW, modes);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return result;
}
