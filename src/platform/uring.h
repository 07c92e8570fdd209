/* uring.h - io_uring: requests that the kernel completes in its own time.
 *
 * The three system calls themselves, without liburing (docs/decisions/0015). A ring has two ends, and
 * each has one user at a time: whoever submits, and whoever reaps; the two need not be the same thread.
 * Any number of threads may wait. None of these parks; only uring_wait sleeps.
 *
 * A request belongs to the thread that submitted it: when that thread exits, the kernel cancels it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum uring_code {
    URING_NONE,
    URING_READV,     /* fd, address: iovecs, length: how many, offset (-1: the position) */
    URING_WRITEV,    /* the same */
    URING_SYNC,      /* fd, flags: 1 for data only */
    URING_ALLOCATE,  /* fd, offset, size */
    URING_OPEN,      /* address: path, flags, length: mode */
    URING_CLOSE,     /* fd */
    URING_CANCEL,    /* address: the tag of the request to cancel */
    URING_POLL,      /* fd, flags: POLLIN and so on; completes again and again, by edges */
    URING_POLL_ONCE, /* fd, flags */
};

struct uring_request {
    enum uring_code code;
    int fd;
    const void *address;
    uint32_t length, flags;
    int64_t offset, size;
    void *tag; /* comes back with the completion */
};
struct uring_completion {
    void *tag;
    int32_t result; /* as the system call, or -errno; -ECANCELED */
    bool more;      /* the request goes on, further completions will follow */
};

struct uring {
    int fd;
    uint32_t entries; /* of the submission queue */
    struct uring_rings *rings;
};

/* 0, or -errno: -ENOSYS, -EPERM, -ENOMEM: the kernel (or the build) has none for us, use something
 * else. Kernels before 5.17 count as having none. */
int uring_init(struct uring *ring, uint32_t entries);
void uring_destroy(struct uring *ring);
/* Hands `count` requests, at most ring->entries, to the kernel, which copies what they say (not what
 * `address` points to). Cheap ones may be completed before it returns. The number it took, in order;
 * fewer only when it has no memory: the others can be submitted again or done otherwise. */
uint32_t uring_submit(struct uring *ring, const struct uring_request *requests, uint32_t count);
/* Takes up to `capacity` completions: fewer mean that there were no more. */
uint32_t uring_reap(struct uring *ring, struct uring_completion *out, uint32_t capacity);
/* Sleeps until there is a completion to reap, a signal came, or timeout_ns have passed (negative: for
 * ever, 0: gives the kernel the chance to complete what is ready). */
void uring_wait(struct uring *ring, int64_t timeout_ns);
