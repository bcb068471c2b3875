// The command whose lock is handed over in lockctl.py: it does nothing but write down when.
//
// stamp FILE NUMBER appends one line to FILE: its number, and the monotonic clock in nanoseconds at its beginning and at its end.

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments) {
    long long beginning = now();
    if (count != 3) {
        fputs("usage: stamp FILE NUMBER\n", stderr);
        return 64;
    }
    int file = open(arguments[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file == -1) {
        perror(arguments[1]);
        return 66;
    }
    // One write for the line, so that lines of two that run at once stay whole, and show that they did.
    char line[100];
    int length = snprintf(line, sizeof line, "%.20s %lld %lld\n", arguments[2], beginning, now());
    if (write(file, line, (size_t)length) != length) {
        perror(arguments[1]);
        return 74;
    }
    return 0;
}
