/* file_call.h - one system call that may wait for a disk, made so that only its goroutine waits. */
#pragma once

#include "platform/uring.h"

#include <stdint.h>

/* `perform` makes the call on the calling thread. `ring` says the same to io_uring; with the code
 * URING_NONE it only carries arguments for perform. Lies in the caller's frame. */
struct tu__file_call {
    int64_t (*perform)(struct tu__file_call *call);
    struct uring_request ring;
    const char *path, *other_path;
    void *out;
    bool always; /* made also in a context that has ended, and never cut short */
};
/* The call's result: >= 0 or -errno; or the context's error, and then it was not made. May park. */
int64_t tu__file_do(struct tu__file_call *call);

/* ---- file_ring.c ---- */
/* Makes the call through this P's ring: true and its result, or false: there is no ring, or it has no
 * room; nothing has happened. On a goroutine only. May park. */
bool tu__ring_do(const struct tu__file_call *call, int64_t *result);
/* Will calls go to a ring? Tries to make one if none has been made. */
bool tu__ring_usable(void);
