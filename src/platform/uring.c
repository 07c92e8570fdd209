/* uring.c - see uring.h.
 *
 * A ring is two queues in memory shared with the kernel. We fill entries behind the submission queue's
 * tail, publish the tail (release) and call io_uring_enter, in which the kernel takes them; it fills
 * entries behind the completion queue's tail and publishes that (release), we read it (acquire), take
 * entries, and publish our head (release), which says that they may be overwritten.
 *
 * What the kernel has not taken when enter returns is taken back by moving the tail back: without
 * SQPOLL it looks at the tail in enter only. A completion that finds its queue full is kept by the
 * kernel (NODROP) and moved over by the next enter with GETEVENTS; IORING_SQ_CQ_OVERFLOW tells.
 *
 * Plain flags, not DEFER_TASKRUN with SINGLE_ISSUER: that lets only one thread submit and reap, and a P
 * changes threads. Not COOP_TASKRUN: a hog's completions would wait until it enters the kernel.
 */
#include "platform/uring.h"

#include <errno.h>

#if defined(TUCO_WITHOUT_URING) || !defined(__has_include)
#define HAVE_URING 0
#elif !__has_include(<linux/io_uring.h>)
#define HAVE_URING 0
#else
#include <linux/io_uring.h>
#include <sys/syscall.h>
#if defined(IORING_FEAT_CQE_SKIP) && defined(__NR_io_uring_setup)
#define HAVE_URING 1
#else
#define HAVE_URING 0 /* headers before 5.17 */
#endif
#endif

#if HAVE_URING

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct uring_rings {
    void *memory; /* both queues' heads, and the completions */
    size_t memory_size, sqes_size;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    _Atomic uint32_t *sq_tail, *sq_flags, *cq_head, *cq_tail;
    uint32_t sq_mask, cq_mask;
};

static int enter(const struct uring *ring, uint32_t submit, uint32_t complete, uint32_t flags,
                 const struct io_uring_getevents_arg *arg)
{
    long n =
        syscall(__NR_io_uring_enter, ring->fd, submit, complete, flags, arg, arg ? sizeof *arg : 0);
    return n < 0 ? -errno : (int)n;
}

static int map_rings(struct uring *ring, const struct io_uring_params *p)
{
    struct uring_rings *r = ring->rings;
    size_t sq_size = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
    size_t cq_size = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    r->memory_size = sq_size > cq_size ? sq_size : cq_size;
    r->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
    int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
    char *base = mmap(NULL, r->memory_size, protection, flags, ring->fd, IORING_OFF_SQ_RING);
    if (base == MAP_FAILED)
        return -errno;
    r->sqes = mmap(NULL, r->sqes_size, protection, flags, ring->fd, IORING_OFF_SQES);
    if (r->sqes == MAP_FAILED) {
        int rc = -errno;
        munmap(base, r->memory_size);
        return rc;
    }
    r->memory = base;
    r->sq_tail = (_Atomic uint32_t *)(base + p->sq_off.tail);
    r->sq_flags = (_Atomic uint32_t *)(base + p->sq_off.flags);
    r->sq_mask = *(uint32_t *)(base + p->sq_off.ring_mask);
    r->cq_head = (_Atomic uint32_t *)(base + p->cq_off.head);
    r->cq_tail = (_Atomic uint32_t *)(base + p->cq_off.tail);
    r->cq_mask = *(uint32_t *)(base + p->cq_off.ring_mask);
    r->cqes = (struct io_uring_cqe *)(base + p->cq_off.cqes);
    uint32_t *array = (uint32_t *)(base + p->sq_off.array);
    for (uint32_t i = 0; i < p->sq_entries; i++)
        array[i] = i; /* place i of the queue is always entry i */
    return 0;
}

int uring_init(struct uring *ring, uint32_t entries)
{
    enum {
        NEEDED = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS |
                 IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP
    };
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                                .cq_entries = entries * 4};
    ring->rings = calloc(1, sizeof *ring->rings);
    if (!ring->rings)
        return -ENOMEM;
    long fd = syscall(__NR_io_uring_setup, entries, &p);
    int rc = fd < 0 ? -errno : 0;
    ring->fd = (int)fd;
    ring->entries = p.sq_entries;
    if (rc == 0 && (p.features & NEEDED) != NEEDED)
        rc = -ENOSYS;
    if (rc == 0 && fcntl(ring->fd, F_SETFD, FD_CLOEXEC) < 0)
        rc = -errno;
    if (rc == 0)
        rc = map_rings(ring, &p);
    if (rc < 0) {
        if (fd >= 0)
            close((int)fd);
        free(ring->rings);
    }
    return rc;
}

void uring_destroy(struct uring *ring)
{
    munmap(ring->rings->sqes, ring->rings->sqes_size);
    munmap(ring->rings->memory, ring->rings->memory_size);
    close(ring->fd);
    free(ring->rings);
}

static uint32_t poll_mask(uint32_t events)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return events << 16 | events >> 16; /* the field was 16 bits wide once */
#else
    return events;
#endif
}

static void prepare(struct io_uring_sqe *s, const struct uring_request *r)
{
    memset(s, 0, sizeof *s);
    s->fd = r->fd;
    s->addr = (uintptr_t)r->address;
    s->len = r->length;
    s->user_data = (uintptr_t)r->tag;
    switch (r->code) {
    case URING_READV:
    case URING_WRITEV:
        s->opcode = r->code == URING_READV ? IORING_OP_READV : IORING_OP_WRITEV;
        s->off = (uint64_t)r->offset;
        break;
    case URING_SYNC:
        s->opcode = IORING_OP_FSYNC;
        s->fsync_flags = r->flags ? IORING_FSYNC_DATASYNC : 0;
        break;
    case URING_ALLOCATE:
        s->opcode = IORING_OP_FALLOCATE;
        s->off = (uint64_t)r->offset;
        s->addr = (uint64_t)r->size;
        break;
    case URING_OPEN:
        s->opcode = IORING_OP_OPENAT;
        s->fd = AT_FDCWD;
        s->open_flags = r->flags | O_CLOEXEC;
        break;
    case URING_CLOSE: s->opcode = IORING_OP_CLOSE; break;
    case URING_CANCEL: s->opcode = IORING_OP_ASYNC_CANCEL; break;
    case URING_POLL:
    case URING_POLL_ONCE:
        s->opcode = IORING_OP_POLL_ADD;
        s->poll32_events = poll_mask(r->flags);
        s->len = r->code == URING_POLL ? IORING_POLL_ADD_MULTI : 0;
        break;
    default: s->opcode = IORING_OP_NOP; break;
    }
}

uint32_t uring_submit(struct uring *ring, const struct uring_request *requests, uint32_t count)
{
    struct uring_rings *r = ring->rings;
    uint32_t tail = atomic_load_explicit(r->sq_tail, memory_order_relaxed); /* ours alone */
    for (uint32_t i = 0; i < count; i++)
        prepare(&r->sqes[(tail + i) & r->sq_mask], &requests[i]);
    /* release: pairs with the kernel's acquire of the tail */
    atomic_store_explicit(r->sq_tail, tail + count, memory_order_release);
    uint32_t taken = 0;
    while (taken < count) {
        int n = enter(ring, count - taken, 0, 0, NULL);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        taken += (uint32_t)n;
    }
    if (taken < count)
        atomic_store_explicit(r->sq_tail, tail + taken, memory_order_release);
    return taken;
}

uint32_t uring_reap(struct uring *ring, struct uring_completion *out, uint32_t capacity)
{
    struct uring_rings *r = ring->rings;
    uint32_t head = atomic_load_explicit(r->cq_head, memory_order_relaxed), n = 0; /* ours alone */
    /* acquire: pairs with the kernel's release of the tail, after it wrote the entries */
    uint32_t tail = atomic_load_explicit(r->cq_tail, memory_order_acquire);
    if (head == tail &&
        (atomic_load_explicit(r->sq_flags, memory_order_relaxed) & IORING_SQ_CQ_OVERFLOW)) {
        (void)enter(ring, 0, 0, IORING_ENTER_GETEVENTS, NULL);
        tail = atomic_load_explicit(r->cq_tail, memory_order_acquire);
    }
    for (; n < capacity && head != tail; n++, head++) {
        const struct io_uring_cqe *c = &r->cqes[head & r->cq_mask];
        out[n] = (struct uring_completion){(void *)(uintptr_t)c->user_data, c->res,
                                           (c->flags & IORING_CQE_F_MORE) != 0};
    }
    /* release: the entries were read before the kernel may overwrite them */
    atomic_store_explicit(r->cq_head, head, memory_order_release);
    return n;
}

void uring_wait(struct uring *ring, int64_t timeout_ns)
{
    struct __kernel_timespec limit = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    struct io_uring_getevents_arg arg = {.sigmask_sz = _NSIG / 8, .ts = (uintptr_t)&limit};
    uint32_t flags = IORING_ENTER_GETEVENTS;
    if (timeout_ns > 0)
        (void)enter(ring, 0, 1, flags | IORING_ENTER_EXT_ARG, &arg);
    else
        (void)enter(ring, 0, timeout_ns < 0, flags, NULL);
}

#else /* a build for a system without it */

int uring_init(struct uring *ring, uint32_t entries)
{
    return -ENOSYS;
}

void uring_destroy(struct uring *ring) {}

uint32_t uring_submit(struct uring *ring, const struct uring_request *requests, uint32_t count)
{
    return 0;
}

uint32_t uring_reap(struct uring *ring, struct uring_completion *out, uint32_t capacity)
{
    return 0;
}

void uring_wait(struct uring *ring, int64_t timeout_ns) {}

#endif
