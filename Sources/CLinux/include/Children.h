// What a process does with its children: starts them, hears of them, signals them, outlives them.
//
// Every function returns what the system call returns, -1 with errno set on failure, unless it says otherwise.

#ifndef CLINUX_CHILDREN_H
#define CLINUX_CHILDREN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

// Starts `file`, found through $PATH, with `arguments` (NULL is behind the last) and this process's environment; the child has `signals` as its signal mask,
// and the `inherited` descriptors, under the same numbers, besides those that are not close-on-exec. A file that is no program is taken for a
// script of /bin/sh, as execvp(3) does it. Returns 0, or the error number of what failed.
int clinux_spawn(pid_t *child, const char *file, char *const arguments[], const sigset_t *signals,
                 const int *inherited, size_t inherited_count);

// Replaces this process by `file`, found through $PATH. Returns the error number of what failed.
int clinux_execute(const char *file, char *const arguments[]);

// Blocks, in the calling thread, the signals that are to be passed on to a child, and SIGCHLD, SIGPIPE and SIGTTOU, and keeps the former mask in
// `former`. SIGCHLD is no longer ignored, so that children can be waited for. Returns a close-on-exec, non-blocking signalfd.
int clinux_forwarded_signalfd(sigset_t *former);

// What has become of a child.
struct clinux_change {
    // 0 if there is nothing new.
    pid_t process;
    enum { CLINUX_EXITED, CLINUX_KILLED, CLINUX_STOPPED, CLINUX_CONTINUED } what;
    // The exit code, or the number of the signal.
    int number;
};

// The next news of any child; does not wait. One that has ended is no more after that. Returns -1 if there is no child at all.
int clinux_next_change(struct clinux_change *change);

// Whether this process has children, those included that have ended and were not waited for.
bool clinux_has_children(void);

// This process gets `signal` when its parent ends, and not when a thread of that does; at once if it has ended already. Takes SIGRTMIN. Neither is
// blocked any more, nor `signal` ignored.
int clinux_die_with_parent(int signal);

// The first process of a pid namespace, as in a container, gets no signal that it has no handler for. If this is one, it ends by those that
// would end any other process, with 128 and the number of the signal as its exit code.
void clinux_end_by_signals(void);

// PR_SET_CHILD_SUBREAPER: whoever loses its parent, among the descendants of this process, becomes its child.
int clinux_become_subreaper(void);

// Has this process do as if `signal`, SIGTSTP for instance, had come and nobody had ever blocked it, unless `child` has been continued, or
// has ended, since it was last asked about. Returns when the process goes on.
void clinux_stop_by(int signal, pid_t child);

// Like clinux_spawn, with nothing inherited that is close-on-exec; but first starts a process of its own group that does
// nothing but keep `held` open until the child has ended. That one outlives this process, and ends at nothing but SIGKILL. There is no moment
// at which the child runs and `held` would not outlive this process.
int clinux_spawn_kept(pid_t *child, const char *file, char *const arguments[], const sigset_t *signals, int held);

// A close-on-exec copy of a descriptor, with a number that no script uses: 700 or above, or as high as the limit allows.
int clinux_duplicate_high(int descriptor);

// tcsetpgrp(3), from the background as well: without SIGTTOU.
int clinux_set_foreground(int terminal, pid_t group);

// tcsetattr(3), at once, from the background as well.
int clinux_set_terminal(int terminal, const struct termios *modes);

#endif
