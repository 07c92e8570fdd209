/* poll.c - epoll, and the choice of poll_ring.c instead. The eventfd is registered edge-triggered and
 * never read: each write is an edge. */
#include "platform/poll.h"

#include "platform/poll_ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static int init_epoll(struct poll *poll)
{
    poll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll->epoll_fd < 0)
        return -errno;
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (epoll_ctl(poll->epoll_fd, EPOLL_CTL_ADD, poll->wake_fd, &e) < 0) {
        int error = -errno;
        close(poll->epoll_fd);
        return error;
    }
    return 0;
}

int poll_init(struct poll *poll)
{
    const char *choice = getenv("TUCO_NET");
    *poll = (struct poll){.epoll_fd = -1, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (poll->wake_fd < 0)
        return -errno;
    if (choice && strcmp(choice, "uring") == 0 && poll_ring_make(&poll->ring, poll->wake_fd) == 0)
        return 0;
    int rc = init_epoll(poll);
    if (rc < 0)
        close(poll->wake_fd);
    return rc;
}

const char *poll_backend(const struct poll *poll)
{
    return poll->ring ? "io_uring" : "epoll";
}

void poll_close(struct poll *poll)
{
    if (poll->ring)
        poll_ring_destroy(poll->ring);
    else
        close(poll->epoll_fd);
    close(poll->wake_fd);
}

int poll_add(struct poll *poll, int fd, void *data)
{
    if (poll->ring)
        return poll_ring_add(poll->ring, fd, data);
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = data};
    return epoll_ctl(poll->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void poll_remove(struct poll *poll, int fd)
{
    if (poll->ring) /* epoll forgets it when it is closed */
        poll_ring_remove(poll->ring, fd);
}

unsigned poll_events_of(uint32_t system)
{
    unsigned mask = 0;
    if (system & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        mask |= POLL_IN;
    if (system & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        mask |= POLL_OUT;
    if (system & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        mask |= POLL_HUP;
    return mask;
}

/* ThreadSanitizer knows epoll_wait, not epoll_pwait2: through the latter it sees no order between
 * poll_add and the event, and holds back signals for as long as the call sleeps. */
#if defined(__SANITIZE_THREAD__)
#define WITHOUT_PWAIT2 true
#elif defined(__has_feature)
#define WITHOUT_PWAIT2 __has_feature(thread_sanitizer)
#else
#define WITHOUT_PWAIT2 false
#endif

static int wait_raw(int fd, struct epoll_event *raw, int capacity, int64_t timeout_ns)
{
    static _Atomic bool no_pwait2 = WITHOUT_PWAIT2;
    if (timeout_ns > 0 && !atomic_load_explicit(&no_pwait2, memory_order_relaxed)) {
        struct timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        int n = epoll_pwait2(fd, raw, capacity, &limit, NULL);
        if (n >= 0 || errno != ENOSYS)
            return n;
        atomic_store_explicit(&no_pwait2, true, memory_order_relaxed);
    }
    int64_t timeout_ms = timeout_ns <= 0 ? timeout_ns : (timeout_ns + 999999) / 1000000;
    return epoll_wait(fd, raw, capacity, timeout_ms > 1000000000 ? 1000000000 : (int)timeout_ms);
}

int poll_wait(struct poll *poll, struct poll_event *events, int capacity, int64_t timeout_ns,
              bool *woken)
{
    if (capacity > POLL_EVENTS_MAX)
        capacity = POLL_EVENTS_MAX;
    if (poll->ring)
        return poll_ring_wait(poll->ring, events, capacity, timeout_ns, woken);
    struct epoll_event raw[POLL_EVENTS_MAX];
    int n = wait_raw(poll->epoll_fd, raw, capacity, timeout_ns < 0 ? -1 : timeout_ns);
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (!raw[i].data.ptr) {
            if (woken)
                *woken = true;
            continue;
        }
        events[kept++] = (struct poll_event){raw[i].data.ptr, poll_events_of(raw[i].events)};
    }
    return kept;
}

void poll_wake(struct poll *poll)
{
    uint64_t one = 1;
    ssize_t rc = write(poll->wake_fd, &one, sizeof one);
    if (rc < 0) { /* the counter is near its limit: a read makes room, and the write is an edge */
        uint64_t drained;
        rc = read(poll->wake_fd, &drained, sizeof drained);
        rc = write(poll->wake_fd, &one, sizeof one);
    }
    (void)rc;
}
