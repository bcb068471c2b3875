// What Glibc's module map does not show to Swift.
#include <sys/epoll.h>
