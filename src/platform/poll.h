/* poll.h - edge-triggered readiness with a way to wake the waiter from another thread: by epoll, or by
 * io_uring where the environment says TUCO_NET=uring and the kernel allows it.
 *
 * Any thread may wait, add, remove and wake; each event goes to one waiter. A descriptor is removed
 * before it is closed; an event that was fetched before that may still be on its way.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* HUP: the peer has closed or failed; no further edge will tell of the end of the stream. */
enum { POLL_IN = 1, POLL_OUT = 2, POLL_HUP = 4 };

struct poll {
    int epoll_fd, wake_fd;
    struct poll_ring *ring; /* instead of epoll_fd, or NULL; poll_ring.h */
};
struct poll_event {
    void *data;      /* as given to poll_add; NULL: poll_wake */
    unsigned events; /* POLL_IN for anything a read would tell, POLL_OUT for room */
};
enum { POLL_EVENTS_MAX = 128 };

int poll_init(struct poll *poll); /* 0 or -errno */
/* Registers `fd` for both directions, once for its life. 0 or -errno (-EPERM: not pollable). */
void poll_close(struct poll *poll);
int poll_add(struct poll *poll, int fd, void *data);
/* Ends the registration; right before the descriptor is closed. */
void poll_remove(struct poll *poll, int fd);
/* Waits at most timeout_ns (negative: for ever, 0: not at all). The number of events; 0 also after a
 * signal. *woken (may be NULL): a poll_wake was consumed; whoever polls in another's place must pass
 * it on. */
int poll_wait(struct poll *poll, struct poll_event *events, int capacity, int64_t timeout_ns,
              bool *woken);
/* Makes the current or next poll_wait return. Async-signal-safe. */
void poll_wake(struct poll *poll);
const char *poll_backend(const struct poll *poll); /* "epoll" or "io_uring" */
