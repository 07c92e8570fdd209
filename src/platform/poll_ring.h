/* poll_ring.h - poll.h's contract on io_uring; for poll.c alone. */
#pragma once

#include "platform/poll.h"

struct poll_ring;

/* 0, or -errno: there is no io_uring for us. Reports writes to wake_fd as wakes. */
int poll_ring_make(struct poll_ring **out, int wake_fd);
void poll_ring_destroy(struct poll_ring *ring); /* nobody uses it any more */
int poll_ring_add(struct poll_ring *ring, int fd, void *data);
void poll_ring_remove(struct poll_ring *ring, int fd);
int poll_ring_wait(struct poll_ring *ring, struct poll_event *events, int capacity,
                   int64_t timeout_ns, bool *woken);

/* In poll.c: EPOLLIN and so on to POLL_IN and so on. */
unsigned poll_events_of(uint32_t system);
