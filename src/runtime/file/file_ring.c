/* file_ring.c - file calls through io_uring: one ring for each P, made at its first call.
 *
 * Who submits? Only goroutines, that is, threads of the scheduler: the kernel cancels what an exiting
 * thread has submitted, and those do not exit. A call goes to the ring of the P it is made on. Other
 * threads get there at the same time when the P was taken away from a hog, so submitting must be safe
 * for several; but nobody waits for a lock that is held in a system call:
 *
 *   submitter                                        any other at the same time
 *   1 pushes its call on `pending`                   1 pushes
 *   2 fence                                          2 fence
 *   3 trylock; failed: the holder will see it        3 trylock
 *   4 takes all of `pending`, submits them at once
 *   5 unlocks, fence, looks at `pending` again: 3
 *
 * Either the pusher gets the lock, or the holder's second look sees what was pushed. What comes while
 * the kernel is busy with one batch is the next one: calls are batched exactly when that saves something.
 *
 * Who reaps? Whoever has just submitted, since the kernel answers at once what it can; and whoever polls
 * for the P: the ring's own descriptor is in the P's poller and becomes readable, by edges, with each
 * completion. So a P that sleeps, works, or was taken away gets its completions the way it gets its
 * sockets' events, on any thread, and nothing was added to the scheduler for it. Rejected: an eventfd
 * (a second descriptor that says the same); one ring for all (all Ps would meet in it); a ring for each
 * thread with DEFER_TASKRUN (only that thread may reap, so a hog's completions would wait for it).
 *
 * A call whose context ends is cancelled by a second request and waited for, in either order: it works on
 * the caller's buffer, and it, like its cancellation, lies in the caller's frame.
 */
#include "runtime/file/file_call.h"

#include "base/check.h"
#include "runtime/sched/foreign.h"
#include "runtime/sched/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <tuco/mem.h>

enum { RING_ENTRIES = 64, REAP_BATCH = 32 };
#define REFUSED INT64_MIN /* a result: the kernel did not take it */

struct ring_call {
    struct tu__foreign foreign;
    struct uring_request request;
    struct ring_call *next; /* pending */
};

struct file_ring {
    struct pollable poll;
    struct uring uring;
    struct tu__lock submitting; /* only tried, never waited for */
    struct tu__lock reaping;
    _Atomic(struct ring_call *) pending;
    /* Says to race detectors what the kernel guarantees: a submission comes before its completion. */
    _Atomic uint32_t submissions;
};

static _Atomic(struct file_ring *) rings[TU__PROCS_MAX];
static struct tu__lock making;
static _Atomic bool refused; /* by the kernel or the environment: no more tries */

/* ---- completions ---- */

static void reap(struct file_ring *ring)
{
    struct uring_completion done[REAP_BATCH];
    uint32_t n;
    do {
        tu__lock(&ring->reaping);
        n = uring_reap(&ring->uring, done, REAP_BATCH);
        tu__unlock(&ring->reaping);
        /* acquire: pairs with submit_list */
        (void)atomic_load_explicit(&ring->submissions, memory_order_acquire);
        for (uint32_t i = 0; i < n; i++) {
            struct ring_call *call = done[i].tag;
            tu__foreign_done(&call->foreign, done[i].result);
        }
    } while (n == REAP_BATCH);
}

static void on_ready(struct pollable *self, unsigned events)
{
    reap((struct file_ring *)self);
}

/* ---- submissions ---- */

static void push(struct file_ring *ring, struct ring_call *call)
{
    call->next = atomic_load_explicit(&ring->pending, memory_order_relaxed);
    /* release: pairs with the taker's acquire */
    while (!atomic_compare_exchange_weak_explicit(&ring->pending, &call->next, call,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}

/* First come, first submitted: a cancellation must not overtake its call. */
static struct ring_call *take_pending(struct file_ring *ring)
{
    /* acquire: pairs with push */
    struct ring_call *newest = atomic_exchange_explicit(&ring->pending, NULL, memory_order_acquire);
    struct ring_call *oldest = NULL;
    while (newest) {
        struct ring_call *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void submit_list(struct file_ring *ring, struct ring_call *list)
{
    struct uring_request requests[RING_ENTRIES];
    struct ring_call *calls[RING_ENTRIES];
    while (list) {
        uint32_t count = 0;
        for (; list && count < RING_ENTRIES && count < ring->uring.entries; list = list->next) {
            calls[count] = list;
            requests[count++] = list->request;
        }
        /* release: pairs with reap */
        atomic_fetch_add_explicit(&ring->submissions, 1, memory_order_release);
        /* What was taken may be complete, and its frame gone, from here on. */
        uint32_t taken = uring_submit(&ring->uring, requests, count);
        for (uint32_t i = taken; i < count; i++)
            tu__foreign_done(&calls[i]->foreign, REFUSED);
    }
}

static void submit(struct file_ring *ring, struct ring_call *call)
{
    push(ring, call);
    atomic_thread_fence(memory_order_seq_cst); /* pairs with the one below */
    while (atomic_load_explicit(&ring->pending, memory_order_relaxed) &&
           tu__trylock(&ring->submitting)) {
        submit_list(ring, take_pending(ring));
        tu__unlock(&ring->submitting);
        atomic_thread_fence(memory_order_seq_cst); /* pairs with the one above */
    }
    reap(ring);
}

/* ---- rings ---- */

static struct file_ring *make_ring(struct p *p)
{
    struct file_ring *ring = tu_alloc_zeroed(sizeof *ring);
    if (!ring)
        return NULL;
    if (uring_init(&ring->uring, RING_ENTRIES) < 0) {
        tu_free(ring);
        return NULL;
    }
    atomic_store_explicit(&ring->poll.ready, on_ready, memory_order_release);
    if (poll_add(&p->poll, ring->uring.fd, ring) < 0) {
        uring_destroy(&ring->uring);
        tu_free(ring);
        return NULL;
    }
    /* So that the monitor polls for a hog's P; never taken back, a ring is for ever. */
    atomic_fetch_add_explicit(&p->conns, 1, memory_order_relaxed);
    return ring;
}

static bool allowed(void)
{
    const char *choice = getenv("TUCO_FILES");
    return !choice || strcmp(choice, "threads") != 0;
}

static struct file_ring *ring_of(uint32_t index)
{
    /* acquire: pairs with the release below */
    struct file_ring *ring = atomic_load_explicit(&rings[index], memory_order_acquire);
    if (ring || atomic_load_explicit(&refused, memory_order_relaxed))
        return ring;
    tu__lock(&making);                                                /* for long, but once a P */
    ring = atomic_load_explicit(&rings[index], memory_order_relaxed); /* the lock orders it */
    if (!ring && !atomic_load_explicit(&refused, memory_order_relaxed)) {
        ring = allowed() ? make_ring(&tu__sched.procs[index]) : NULL;
        if (ring)
            atomic_store_explicit(&rings[index], ring, memory_order_release);
        else
            atomic_store_explicit(&refused, true, memory_order_relaxed);
    }
    tu__unlock(&making);
    return ring;
}

bool tu__ring_usable(void)
{
    return tu__sched.proc_count > 0 && ring_of(tu__proc_index()) != NULL;
}

/* ---- a call ---- */

static void cancel_and_wait(struct file_ring *ring, struct ring_call *call)
{
    struct ring_call stop = {.request = {.code = URING_CANCEL, .fd = -1, .address = call}};
    stop.request.tag = &stop;
    tu__foreign_init(&stop.foreign, TU__WAIT_FILE);
    submit(ring, &stop);
    (void)tu__foreign_wait(&stop.foreign, false);
    (void)tu__foreign_wait(&call->foreign, false);
}

bool tu__ring_do(const struct tu__file_call *wanted, int64_t *result)
{
    struct file_ring *ring = ring_of(tu__proc_index());
    if (!ring)
        return false;
    struct ring_call call = {.request = wanted->ring};
    call.request.tag = &call;
    tu__foreign_init(&call.foreign, TU__WAIT_FILE);
    submit(ring, &call);
    int rc = tu__foreign_wait(&call.foreign, true);
    if (rc < 0)
        cancel_and_wait(ring, &call);
    *result = call.foreign.result;
    if (*result == REFUSED || (rc == 0 && *result == -ECANCELED))
        return false; /* nothing has happened: let a thread do it */
    if (rc < 0 && (*result == -ECANCELED || *result == -EINTR))
        *result = rc;
    return true;
}
