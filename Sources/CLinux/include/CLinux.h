// What the Glibc module of Swift does not show: epoll, eventfd, signalfd, pidfds, and a few variadic or macro calls;
// for what a process does with its children, see Children.h.
//
// Every function returns what the system call returns, -1 with errno set on failure, unless it says otherwise.

#ifndef CLINUX_H
#define CLINUX_H

#include "Children.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

// The credentials that the kernel took from a peer when it called connect().
struct clinux_credentials {
    pid_t process;
    uid_t user;
    gid_t group;
};

// SO_PEERCRED.
int clinux_peer_credentials(int socket, struct clinux_credentials *credentials);

// SO_PEERPIDFD (Linux 6.5): a close-on-exec pidfd of the process that called connect().
int clinux_peer_pidfd(int socket);

// pidfd_open(2): a close-on-exec pidfd.
int clinux_pidfd_open(pid_t process);

// Whether the kernel tells processes apart by the inode numbers of their pidfds, as it does since Linux 6.9.
bool clinux_pidfd_is_unique(int pidfd);

// pidfd_send_signal(2) without siginfo.
int clinux_pidfd_send_signal(int pidfd, int signal);

// epoll_ctl(2) with a number as user data.
int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data);

// bind(2) to a path of `length` bytes. Fails with ENAMETOOLONG if it does not fit.
int clinux_bind_unix(int socket, const char *path, size_t length);

// socket(2), AF_UNIX, SOCK_DGRAM, close-on-exec, non-blocking.
int clinux_unix_datagram_socket(void);

// connect(2) to the name of `length` bytes: a path, or, if it begins with `@`, a name in the abstract namespace. Fails with ENAMETOOLONG if it
// does not fit, with EINVAL if it is empty. A datagram socket may be connected again.
int clinux_connect_by_name(int socket, const char *name, size_t length);

// getsockname(2): writes the name of a Unix socket, spelled as clinux_connect_by_name takes it, without a NUL, and returns its length: 0 if the
// socket has none. `name` has room for one byte more than a path may have. Fails with EAFNOSUPPORT if it is not a Unix socket.
ssize_t clinux_unix_name(int socket, void *name);

// accept4(2), non-blocking and close-on-exec.
int clinux_accept(int listener);

// The most descriptors that come along with one recvmsg(2): the kernel's SCM_MAX_FD.
enum { CLINUX_DESCRIPTORS_MAXIMUM = 253 };

// recvmsg(2) without blocking. The descriptors that come along, all close-on-exec, are put into `descriptors`, which has room for
// CLINUX_DESCRIPTORS_MAXIMUM of them; `descriptor_count` says how many there are. Unlike with recv(2) the kernel closes none of them, which
// could block, unless this process has no numbers left for them.
ssize_t clinux_receive(int socket, void *buffer, size_t length, int *descriptors, size_t *descriptor_count);

// How many bytes clinux_receive would return for that length, which it would put into `buffer`; they stay where they are. `has_descriptors`
// says whether descriptors would come along.
ssize_t clinux_peek(int socket, void *buffer, size_t length, bool *has_descriptors);

// Makes a pair of connected, close-on-exec, non-blocking Unix stream sockets.
int clinux_socket_pair(int ends[2]);

// Makes clinux_peek_next begin at the first byte that waits.
int clinux_begin_peeking(int socket);

// Like clinux_receive, but the bytes and the descriptors stay where they are, and the next call goes on behind them.
ssize_t clinux_peek_next(int socket, void *buffer, size_t length, int *descriptors, size_t *descriptor_count);

// A close-on-exec, non-blocking signalfd for SIGTERM and SIGINT, which are blocked in the calling thread.
int clinux_termination_signalfd(void);

// The same for SIGHUP.
int clinux_hang_up_signalfd(void);

// One signal from a signalfd: its number, or 0 if there is none. `from_terminal` says whether the kernel sent it, as it does on Ctrl-C, to
// the child as well.
int clinux_read_signal(int signalfd, bool *from_terminal);

// Raises the soft limit of descriptors to the hard one, as far as that is allowed, and returns the soft limit.
uint64_t clinux_raise_descriptor_limit(void);

// O_PATH: what has this among its flags (F_GETFL) stands for a name, and neither for a file that is open nor for something to wait for.
extern const int clinux_path_only;

// Stores a number in memory that is shared with others, so that whoever reads it finds everything that was stored before. Should the process
// be killed, nothing is there that was to be stored later, unless the number is there, too.
static inline void clinux_store_release(uint64_t *address, uint64_t value) {
    __atomic_store_n(address, value, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

// pipe2(2), close-on-exec and non-blocking: the read end, then the write end.
int clinux_pipe(int *ends);

// getopt_long(3), from the first word on when `words` is another one than before, and without its variables: the value of the option is put
// into `value`, NULL if it has none, and the place of the next word into `next`. Not for two threads at once.
int clinux_next_option(int count, char *const words[], const char *letters, const struct option *names,
                       const char **value, int *next);

// How many columns of a terminal a Unicode scalar takes, by wcwidth(3): 2 for those of East Asia, 0 for what combines, -1 for what is not known
// to be shown. Not for two threads at once.
int clinux_columns(uint32_t scalar);

// A lock on a file, as flock(1) takes it.
struct clinux_file_lock {
    // LOCK_SH, LOCK_EX or LOCK_UN.
    int operation;
    // Whether it is one of fcntl(2), of the open file description, on the bytes from `start` on, all of them if `length` is 0; else it is one
    // of flock(2).
    bool is_range;
    off_t start, length;
};

// Locks the file, or unlocks it; does not wait. Fails with EWOULDBLOCK if somebody else has locked it.
int clinux_lock_file(int file, const struct clinux_file_lock *lock);

// Starts a process that waits for the lock, on behalf of this one and with its descriptor, and ends with this process. Its exit code is 0, or
// the error number of what failed. Returns its number.
pid_t clinux_wait_for_file_lock(int file, const struct clinux_file_lock *lock);

// Writes what stdio has kept of the standard output, and returns whether all of it is written that ever was to be; errno says why not.
bool clinux_finish_output(void);

// open(2) with a mode.
int clinux_open(const char *path, int flags, mode_t mode);

#endif
