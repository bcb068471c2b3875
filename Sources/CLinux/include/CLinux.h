// What the Glibc module of Swift does not show: epoll, eventfd, signalfd, pidfds, and a few variadic or macro calls.
//
// Every function returns what the system call returns, -1 with errno set on failure, unless it says otherwise.

#ifndef CLINUX_H
#define CLINUX_H

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

// pidfd_send_signal(2) without siginfo.
int clinux_pidfd_send_signal(int pidfd, int signal);

// epoll_ctl(2) with a number as user data.
int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data);

// socket(2), AF_UNIX, SOCK_STREAM, close-on-exec; non-blocking if asked.
int clinux_unix_stream_socket(bool nonblocking);

// bind(2) or connect(2) to a path of `length` bytes. Fails with ENAMETOOLONG if it does not fit.
int clinux_bind_unix(int socket, const char *path, size_t length);
int clinux_connect_unix(int socket, const char *path, size_t length);

// The most bytes that a socket's path may have.
size_t clinux_unix_path_maximum(void);

// accept4(2), non-blocking and close-on-exec.
int clinux_accept(int listener);

// A close-on-exec, non-blocking signalfd for SIGTERM and SIGINT, which are blocked in the calling thread.
int clinux_termination_signalfd(void);

// Raises the soft limit of descriptors to the hard one, as far as that is allowed, and returns the soft limit.
uint64_t clinux_raise_descriptor_limit(void);

// open(2) with a mode.
int clinux_open(const char *path, int flags, mode_t mode);

#endif
