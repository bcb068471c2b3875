// The limit case of the benchmarks: what one thread can do that has nothing to decide.
//
// It answers lockd's ACQUIRE and RELEASE with lines as long as lockd's, always the same token, and keeps no table: whoever asks is granted.
// One thread, level-triggered epoll; one read and one write for each ready connection and turn. It is no server for anybody: a
// peer that sends something else than the load generator does is dropped.

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

// As much as lockd reads from one session in one turn.
enum { input_capacity = 16 * 1024 };

// The shortest request, "RELEASE x", has 10 bytes with its LF; its reply has 34.
enum { output_capacity = 4 * input_capacity };

enum { ready_capacity = 256 };

static const char acquire[] = "ACQUIRE ", granted[] = "GRANTED ";
static const char release[] = "RELEASE ", released[] = "RELEASED ";
static const char token[] = " token=1795428843123457\n";

struct connection {
    int descriptor;
    size_t count;  // Bytes of a line that is not complete yet, at the start of `input`.
    char input[input_capacity];
};

static char output[output_capacity];

static void fail(const char *what) {
    fprintf(stderr, "echo-limit: %s: %s\n", what, strerror(errno));
    exit(1);
}

static char *append(char *to, const char *bytes, size_t count) {
    memcpy(to, bytes, count);
    return to + count;
}

// Writes the reply to the request in `line` to `to` and returns where it ends, or NULL if the line is not one of the two.
static char *answer(char *to, const char *line, const char *end) {
    if (line < end && *line == '#') {
        const char *space = memchr(line, ' ', (size_t)(end - line));
        if (space == NULL) return NULL;
        to = append(to, line, (size_t)(space + 1 - line));
        line = space + 1;
    }
    const size_t verb = sizeof acquire - 1;
    if ((size_t)(end - line) <= verb) return NULL;
    if (memcmp(line, acquire, verb) == 0) {
        to = append(to, granted, sizeof granted - 1);
    } else if (memcmp(line, release, verb) == 0) {
        to = append(to, released, sizeof released - 1);
    } else {
        return NULL;
    }
    to = append(to, line + verb, (size_t)(end - line) - verb);
    return append(to, token, sizeof token - 1);
}

// Reads what is there and answers it. Returns 0 when the connection is to be dropped.
static int serve(struct connection *connection) {
    ssize_t count = read(connection->descriptor, connection->input + connection->count, input_capacity - connection->count);
    if (count <= 0) return 0;
    const char *line = connection->input;
    const char *end = connection->input + connection->count + count;
    const char *newline;
    char *reply = output;
    while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        reply = answer(reply, line, newline);
        if (reply == NULL) return 0;
        line = newline + 1;
    }
    connection->count = (size_t)(end - line);
    memmove(connection->input, line, connection->count);
    size_t length = (size_t)(reply - output);
    return length == 0 || send(connection->descriptor, output, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

static int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        fail(path);
    }
    strcpy(address.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) fail("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail(path);
    if (listen(listener, SOMAXCONN) < 0) fail(path);
    return listener;
}

static void watch(int epoll, int descriptor, struct connection *connection) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl");
}

static void accept_one(int epoll, int listener) {
    struct connection *connection = malloc(sizeof *connection);
    if (connection == NULL) fail("malloc");
    connection->count = 0;
    connection->descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection->descriptor < 0) fail("accept");
    watch(epoll, connection->descriptor, connection);
}

int main(int argument_count, char **arguments) {
    if (argument_count != 2) {
        fprintf(stderr, "usage: echo-limit SOCKET-PATH\n");
        return 2;
    }
    int listener = listen_at(arguments[1]);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail("epoll_create1");
    watch(epoll, listener, NULL);
    for (;;) {
        struct epoll_event ready[ready_capacity];
        int count = epoll_wait(epoll, ready, ready_capacity, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int index = 0; index < count; index++) {
            struct connection *connection = ready[index].data.ptr;
            if (connection == NULL) {
                accept_one(epoll, listener);
            } else if (!serve(connection)) {
                close(connection->descriptor);
                free(connection);
            }
        }
    }
}
