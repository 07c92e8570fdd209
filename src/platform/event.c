/* event.c - eventfd. Its counter cannot overflow: whoever signals does so once between two clears. */
#include "platform/event.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int event_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void event_signal(int fd)
{
    uint64_t one = 1;
    ssize_t rc = write(fd, &one, sizeof one);
    (void)rc;
}

void event_clear(int fd)
{
    uint64_t count;
    ssize_t rc = read(fd, &count, sizeof count);
    (void)rc;
}

void event_close(int fd)
{
    (void)close(fd);
}
