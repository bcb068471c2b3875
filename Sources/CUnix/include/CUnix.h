// What a client asks of the system: Unix sockets, a thread, and ways to sleep. The one place of the client library where systems differ: Linux, and macOS for
// those who develop there.
//
// Every function returns what the system call returns, -1 with errno set on failure, unless it says otherwise.

#ifndef CUNIX_H
#define CUNIX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

// The most bytes that a socket's path may have.
size_t cunix_path_maximum(void);

// The address of a path of `length` bytes. Fails with ENAMETOOLONG if it does not fit.
int cunix_address(struct sockaddr_un *address, socklen_t *address_length, const char *path, size_t length);

// socket(2), AF_UNIX, SOCK_STREAM, close-on-exec; non-blocking if asked.
int cunix_stream_socket(bool nonblocking);

// connect(2) to a path of `length` bytes. Fails with ENAMETOOLONG if it does not fit.
int cunix_connect(int socket, const char *path, size_t length);

// Makes connect(2) and what is sent give up with EAGAIN after so many milliseconds.
int cunix_limit_sending(int socket, int64_t milliseconds);

// The same for what is received.
int cunix_limit_receiving(int socket, int64_t milliseconds);

// Whether what is done with the socket blocks from now on.
int cunix_set_blocking(int socket, bool blocks);

// The most descriptors that may go along with one sendmsg(2): Linux's SCM_MAX_FD.
enum { CUNIX_DESCRIPTORS_MAXIMUM = 253 };

// sendmsg(2) without SIGPIPE, with `descriptor_count` descriptors, no more than CUNIX_DESCRIPTORS_MAXIMUM, that go along with the first byte.
// Fails with EAGAIN if there is no room, unless it `waits` for that and the socket is one that blocks.
ssize_t cunix_send(int socket, const void *bytes, size_t length, const int *descriptors, size_t descriptor_count,
                   bool waits);

// recv(2). Fails with EAGAIN if there is nothing, unless it `waits` for that and the socket is one that blocks.
ssize_t cunix_receive(int socket, void *buffer, size_t length, bool waits);

// A copy of a descriptor, close-on-exec.
int cunix_duplicate(int descriptor);

// pidfd_open(2): a close-on-exec descriptor that stands for a process. Fails with ENOSYS where there is no such thing.
int cunix_process_descriptor(pid_t process);

// What ends poll(2) before its time: `reading` becomes readable when it is rung. Both may be the same descriptor.
struct cunix_bell {
    int reading;
    int writing;
};

int cunix_bell_make(struct cunix_bell *bell);
void cunix_bell_ring(struct cunix_bell bell);
// Makes it silent, however often it was rung.
void cunix_bell_silence(struct cunix_bell bell);
void cunix_bell_close(struct cunix_bell bell);

// Starts a thread that takes no signals but those of its own mistakes, with a small stack, and does not wait for its end. Returns 0, or the error number.
int cunix_start_thread(void *(*body)(void *), void *argument);

// CLOCK_MONOTONIC, in nanoseconds.
int64_t cunix_now(void);

// Makes a condition whose waits go by CLOCK_MONOTONIC. Returns 0, or the error number.
int cunix_condition_make(pthread_cond_t *condition);

// pthread_cond_wait(3), until `deadline` (of cunix_now) at the most. It may return before anything has happened.
void cunix_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline);

#endif
