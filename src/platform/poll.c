/* poll.c - epoll. The eventfd is registered edge-triggered and never read: each write is an edge. */
#include "platform/poll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

int poll_init(struct poll *poll)
{
    poll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll->epoll_fd < 0)
        return -errno;
    poll->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (poll->wake_fd < 0 || epoll_ctl(poll->epoll_fd, EPOLL_CTL_ADD, poll->wake_fd, &e) < 0) {
        int error = -errno;
        close(poll->epoll_fd);
        if (poll->wake_fd >= 0)
            close(poll->wake_fd);
        return error;
    }
    return 0;
}

void poll_close(struct poll *poll)
{
    close(poll->epoll_fd);
    close(poll->wake_fd);
}

int poll_add(struct poll *poll, int fd, void *data)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = data};
    return epoll_ctl(poll->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
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
    struct epoll_event raw[POLL_EVENTS_MAX];
    if (capacity > POLL_EVENTS_MAX)
        capacity = POLL_EVENTS_MAX;
    int n = wait_raw(poll->epoll_fd, raw, capacity, timeout_ns < 0 ? -1 : timeout_ns);
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (!raw[i].data.ptr) {
            if (woken)
                *woken = true;
            continue;
        }
        unsigned events_in = raw[i].events, mask = 0;
        if (events_in & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            mask |= POLL_IN;
        if (events_in & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            mask |= POLL_OUT;
        if (events_in & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            mask |= POLL_HUP;
        events[kept++] = (struct poll_event){raw[i].data.ptr, mask};
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
