#define _GNU_SOURCE
#include "CLinux.h"

#include "CUnix.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <wchar.h>

// Older headers lack it; the number is the kernel's, the same on every architecture that Swift runs on.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int clinux_peer_credentials(int socket, struct clinux_credentials *credentials) {
    struct ucred from_kernel;
    socklen_t length = sizeof from_kernel;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &from_kernel, &length) != 0) return -1;
    credentials->process = from_kernel.pid;
    credentials->user = from_kernel.uid;
    credentials->group = from_kernel.gid;
    return 0;
}

int clinux_peer_pidfd(int socket) {
    int pidfd = -1;
    socklen_t length = sizeof pidfd;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) != 0) return -1;
    return pidfd;
}

int clinux_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

// Older headers lack it.
#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif

bool clinux_pidfd_is_unique(int pidfd) {
    struct statfs system;
    return fstatfs(pidfd, &system) == 0 && system.f_type == PID_FS_MAGIC;
}

int clinux_pidfd_send_signal(int pidfd, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

int clinux_epoll_control(int epoll, int operation, int descriptor, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data = {.u64 = data}};
    return epoll_ctl(epoll, operation, descriptor, &event);
}

int clinux_bind_unix(int socket, const char *path, size_t length) {
    struct sockaddr_un address;
    socklen_t address_length;
    if (cunix_address(&address, &address_length, path, length) != 0) return -1;
    return bind(socket, (struct sockaddr *)&address, address_length);
}

int clinux_unix_datagram_socket(void) { return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

int clinux_connect_by_name(int socket, const char *name, size_t length) {
    if (length == 0) {
        errno = EINVAL;
        return -1;
    }
    if (*name != '@') return cunix_connect(socket, name, length);
    struct sockaddr_un address;
    socklen_t address_length;
    if (cunix_address(&address, &address_length, name, length) != 0) return -1;
    address.sun_path[0] = '\0';
    // An abstract name ends where the address does, and not with a NUL.
    return connect(socket, (struct sockaddr *)&address, address_length - 1);
}

ssize_t clinux_unix_name(int socket, void *name) {
    struct sockaddr_un address;
    socklen_t address_length = sizeof address;
    if (getsockname(socket, (struct sockaddr *)&address, &address_length) != 0) return -1;
    if (address.sun_family != AF_UNIX) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    size_t room = address_length > sizeof address ? sizeof address : address_length;
    size_t length = room - offsetof(struct sockaddr_un, sun_path);
    if (length == 0) return 0;
    bool is_abstract = address.sun_path[0] == '\0';
    if (!is_abstract) length = strnlen(address.sun_path, length);
    memcpy(name, address.sun_path, length);
    if (is_abstract) *(char *)name = '@';
    return (ssize_t)length;
}

int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }

static ssize_t receive_with(int flags, int socket, void *buffer, size_t length, int *descriptors,
                            size_t *descriptor_count) {
    // Left as it is: clearing it would cost as much as the rest, and the kernel says how much of it is filled.
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(CLINUX_DESCRIPTORS_MAXIMUM * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    *descriptor_count = 0;
    ssize_t count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    if (count == -1 || message.msg_controllen == 0) return count;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors + *descriptor_count, CMSG_DATA(header), here * sizeof(int));
        *descriptor_count += here;
    }
    return count;
}

ssize_t clinux_receive(int socket, void *buffer, size_t length, int *descriptors, size_t *descriptor_count) {
    return receive_with(0, socket, buffer, length, descriptors, descriptor_count);
}

int clinux_socket_pair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends);
}

int clinux_begin_peeking(int socket) {
    int offset = 0;
    return setsockopt(socket, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset);
}

ssize_t clinux_peek_next(int socket, void *buffer, size_t length, int *descriptors, size_t *descriptor_count) {
    return receive_with(MSG_PEEK, socket, buffer, length, descriptors, descriptor_count);
}

ssize_t clinux_peek(int socket, void *buffer, size_t length, bool *has_descriptors) {
    struct iovec part = {.iov_base = buffer, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_PEEK);
    // There is no room for descriptors, so whether there are any is whether something was cut.
    *has_descriptors = count > 0 && (message.msg_flags & MSG_CTRUNC) != 0;
    return count;
}

static int blocked_signalfd(const sigset_t *signals) {
    int error = pthread_sigmask(SIG_BLOCK, signals, NULL);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int clinux_termination_signalfd(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return blocked_signalfd(&signals);
}

int clinux_hang_up_signalfd(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    return blocked_signalfd(&signals);
}

int clinux_read_signal(int signalfd, bool *from_terminal) {
    struct signalfd_siginfo information;
    if (read(signalfd, &information, sizeof information) != sizeof information) return 0;
    *from_terminal = information.ssi_code == SI_KERNEL;
    return (int)information.ssi_signo;
}

uint64_t clinux_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : soft;
}

const int clinux_path_only = O_PATH;

int clinux_pipe(int *ends) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

static int lock_file(int file, const struct clinux_file_lock *lock, bool waits) {
    if (!lock->is_range) return flock(file, lock->operation | (waits ? 0 : LOCK_NB));
    struct flock range = {.l_type = lock->operation == LOCK_EX   ? F_WRLCK
                                    : lock->operation == LOCK_SH ? F_RDLCK
                                                                 : F_UNLCK,
                          .l_whence = SEEK_SET,
                          .l_start = lock->start,
                          .l_len = lock->length};
    int result = fcntl(file, waits ? F_OFD_SETLKW : F_OFD_SETLK, &range);
    // POSIX leaves it open which of the two it is.
    if (result == -1 && errno == EACCES) errno = EWOULDBLOCK;
    return result;
}

int clinux_lock_file(int file, const struct clinux_file_lock *lock) { return lock_file(file, lock, false); }

pid_t clinux_wait_for_file_lock(int file, const struct clinux_file_lock *lock) {
    pid_t parent = getpid(), process = fork();
    if (process != 0) return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    // The parent may have ended before that.
    if (getppid() != parent) _exit(ESRCH);
    int result;
    do result = lock_file(file, lock, true);
    while (result == -1 && errno == EINTR);
    _exit(result == 0 ? 0 : errno);
}

int clinux_next_option(int count, char *const words[], const char *letters, const struct option *names,
                       const char **value, int *next) {
    static char *const *known;
    // 0 has it forget what it was at.
    if (words != known) optind = 0;
    known = words;
    int result = getopt_long(count, words, letters, names, NULL);
    *value = optarg;
    *next = optind;
    if (result == -1 || result == '?') known = NULL;
    return result;
}

int clinux_columns(uint32_t scalar) {
    static const char *locale;
    // It knows the characters of the locale only, which need not be one of UTF-8 where nobody has set any.
    if (locale == NULL) locale = setlocale(LC_CTYPE, "C.UTF-8");
    return wcwidth((wchar_t)scalar);
}

bool clinux_finish_output(void) { return fflush(stdout) == 0 && !ferror(stdout); }
