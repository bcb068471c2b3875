#define _GNU_SOURCE
#include "CUnix.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/eventfd.h>
#include <sys/syscall.h>
#endif

size_t cunix_path_maximum(void) { return sizeof(((struct sockaddr_un *)0)->sun_path) - 1; }

int cunix_address(struct sockaddr_un *address, socklen_t *address_length, const char *path, size_t length) {
    if (length > cunix_path_maximum()) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length);
    *address_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 0;
}

int cunix_set_blocking(int socket, bool blocks) {
    int flags = fcntl(socket, F_GETFL);
    return flags == -1 ? -1 : fcntl(socket, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

#ifdef __linux__

int cunix_stream_socket(bool nonblocking) {
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
}

static const int no_signal = MSG_NOSIGNAL;

#else

static int close_after(int descriptor) {
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

int cunix_stream_socket(bool nonblocking) {
    int made = socket(AF_UNIX, SOCK_STREAM, 0);
    if (made == -1) return -1;
    if (fcntl(made, F_SETFD, FD_CLOEXEC) == -1) return close_after(made);
    if (nonblocking && cunix_set_blocking(made, false) == -1) return close_after(made);
#ifdef SO_NOSIGPIPE
    int on = 1;
    if (setsockopt(made, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) == -1) return close_after(made);
#endif
    return made;
}

static const int no_signal = 0;

#endif

int cunix_connect(int socket, const char *path, size_t length) {
    struct sockaddr_un address;
    socklen_t address_length;
    if (cunix_address(&address, &address_length, path, length) != 0) return -1;
    return connect(socket, (struct sockaddr *)&address, address_length);
}

static int limit_waiting(int socket, int option, int64_t milliseconds) {
    struct timeval time = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
    return setsockopt(socket, SOL_SOCKET, option, &time, sizeof time);
}

int cunix_limit_sending(int socket, int64_t milliseconds) { return limit_waiting(socket, SO_SNDTIMEO, milliseconds); }

int cunix_limit_receiving(int socket, int64_t milliseconds) { return limit_waiting(socket, SO_RCVTIMEO, milliseconds); }

ssize_t cunix_send(int socket, const void *bytes, size_t length, const int *descriptors, size_t descriptor_count,
                   bool waits) {
    int flags = no_signal | (waits ? 0 : MSG_DONTWAIT);
    if (descriptor_count == 0) return send(socket, bytes, length, flags);
    if (descriptor_count > CUNIX_DESCRIPTORS_MAXIMUM) {
        errno = EINVAL;
        return -1;
    }
    union {
        struct cmsghdr first;
        char bytes[CMSG_SPACE(CUNIX_DESCRIPTORS_MAXIMUM * sizeof(int))];
    } control;
    size_t size = descriptor_count * sizeof(int);
    memset(&control, 0, CMSG_SPACE(size));
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = CMSG_SPACE(size);
    control.first.cmsg_level = SOL_SOCKET;
    control.first.cmsg_type = SCM_RIGHTS;
    control.first.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&control.first), descriptors, size);
    return sendmsg(socket, &message, flags);
}

ssize_t cunix_receive(int socket, void *buffer, size_t length, bool waits) {
    return recv(socket, buffer, length, waits ? 0 : MSG_DONTWAIT);
}

int cunix_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 0); }

#ifdef __linux__

int cunix_process_descriptor(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int cunix_bell_make(struct cunix_bell *bell) {
    bell->reading = bell->writing = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell->reading;
}

#else

int cunix_process_descriptor(pid_t process) {
    (void)process;
    errno = ENOSYS;
    return -1;
}

int cunix_bell_make(struct cunix_bell *bell) {
    int ends[2];
    if (pipe(ends) == -1) return -1;
    for (int i = 0; i < 2; i++) {
        if (fcntl(ends[i], F_SETFD, FD_CLOEXEC) == -1 || cunix_set_blocking(ends[i], false) == -1) {
            close(ends[1 - i]);
            return close_after(ends[i]);
        }
    }
    bell->reading = ends[0];
    bell->writing = ends[1];
    return 0;
}

#endif

void cunix_bell_ring(struct cunix_bell bell) {
    // As long as an eventfd takes; a pipe that is full has been rung enough.
    uint64_t one = 1;
    ssize_t written = write(bell.writing, &one, sizeof one);
    (void)written;
}

void cunix_bell_silence(struct cunix_bell bell) {
    uint64_t rings[64];
    while (read(bell.reading, rings, sizeof rings) == sizeof rings) continue;
}

void cunix_bell_close(struct cunix_bell bell) {
    close(bell.reading);
    if (bell.writing != bell.reading) close(bell.writing);
}

int cunix_start_thread(void *(*body)(void *), void *argument) {
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) return error;
    sigset_t every_signal, former;
    sigfillset(&every_signal);
    // But those that it raises itself by a mistake: whoever reports crashes is to see them.
    static const int of_its_own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof of_its_own / sizeof *of_its_own; i++) sigdelset(&every_signal, of_its_own[i]);
    error = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    // It calls a few functions deep; the 8 MiB of address space that are usual would be a waste.
    if (error == 0) error = pthread_attr_setstacksize(&attributes, 512 * 1024);
    // A thread begins with the mask of the one that makes it.
    if (error == 0) error = pthread_sigmask(SIG_SETMASK, &every_signal, &former);
    if (error == 0) {
        pthread_t thread;
        error = pthread_create(&thread, &attributes, body, argument);
        pthread_sigmask(SIG_SETMASK, &former, NULL);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

enum { NANOSECONDS = 1000000000 };

int64_t cunix_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * NANOSECONDS + time.tv_nsec;
}

#ifdef __APPLE__

int cunix_condition_make(pthread_cond_t *condition) { return pthread_cond_init(condition, NULL); }

void cunix_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline) {
    if (deadline == INT64_MAX) {
        pthread_cond_wait(condition, mutex);
        return;
    }
    int64_t rest = deadline - cunix_now();
    if (rest <= 0) return;
    struct timespec time = {.tv_sec = rest / NANOSECONDS, .tv_nsec = rest % NANOSECONDS};
    pthread_cond_timedwait_relative_np(condition, mutex, &time);
}

#else

int cunix_condition_make(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);
    if (error != 0) return error;
    error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (error == 0) error = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return error;
}

void cunix_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline) {
    if (deadline == INT64_MAX) {
        pthread_cond_wait(condition, mutex);
        return;
    }
    struct timespec time = {.tv_sec = deadline / NANOSECONDS, .tv_nsec = deadline % NANOSECONDS};
    pthread_cond_timedwait(condition, mutex, &time);
}

#endif
