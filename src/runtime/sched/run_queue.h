/* run_queue.h - what is ready to run on one P: a ring of 256 and the slot `runnext`.
 *
 * One owner (the thread that has the P) puts and gets; thieves take half of the ring from the front.
 *
 *   put    head = acquire(head); tail - head < 256: ring[tail] = r; release(tail + 1)
 *   get    head = acquire(head); r = ring[head]; compare-and-swap(head, head + 1), else again
 *   steal  head, tail = acquire both; n = half; read n slots; compare-and-swap(head, head + n)
 *
 * A slot is reused only after head has moved past it, so a thief that read a slot which the owner
 * rewrote fails its compare-and-swap. Pairs: release(tail) with the thief's acquire(tail) makes the
 * slot's content visible; release on head with the owner's acquire(head) makes the slot reusable.
 *
 * `runnext` holds what was made ready last: it runs next and inherits the rest of the time slice, so
 * that a ping-pong pair costs one switch per hop. Thieves take it only when there is nothing else.
 */
#pragma once

#include "base/torture.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum runnable_kind { RUNNABLE_GOROUTINE, RUNNABLE_TASK };

/* Something that can be queued: the head of a struct g, or of a task without a stack. */
struct runnable {
    struct runnable *next; /* in the global queue or a free list */
    enum runnable_kind kind;
};

/* Work without a stack of its own: when its turn comes it is called on a pooled one. */
struct task {
    struct runnable run;
    void (*call)(struct task *task); /* may park; the task may be freed inside */
};

enum { RUN_QUEUE_SIZE = TU__LIMIT(256, 2) };

struct run_queue {
    _Atomic uint32_t head; /* thieves and owner */
    _Atomic uint32_t tail; /* owner */
    _Atomic(struct runnable *) runnext;
    _Atomic(struct runnable *) ring[RUN_QUEUE_SIZE];
};

/* Owner: adds at the end; false when full. */
static inline bool run_queue_put(struct run_queue *q, struct runnable *r)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (tail - head >= RUN_QUEUE_SIZE)
        return false;
    atomic_store_explicit(&q->ring[tail % RUN_QUEUE_SIZE], r, memory_order_relaxed);
    atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
    return true;
}

/* Owner: takes the oldest of the ring, or NULL. */
static inline struct runnable *run_queue_get(struct run_queue *q)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
    for (;;) {
        uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
        if (tail == head)
            return NULL;
        struct runnable *r =
            atomic_load_explicit(&q->ring[head % RUN_QUEUE_SIZE], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&q->head, &head, head + 1, memory_order_acq_rel,
                                                  memory_order_acquire))
            return r;
    }
}

/* Anyone: how many the ring holds, a moment ago. */
static inline uint32_t run_queue_length(struct run_queue *q)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    return tail - head > RUN_QUEUE_SIZE ? 0 : tail - head;
}

static inline bool run_queue_empty(struct run_queue *q)
{
    return run_queue_length(q) == 0 &&
           atomic_load_explicit(&q->runnext, memory_order_relaxed) == NULL;
}

/* Owner: moves the older half out into `out` (room for 128) when the ring is full; the count, 0 if
 * a thief was faster. */
uint32_t run_queue_take_half(struct run_queue *q, struct runnable **out);
/* Thief (owner of `to`): moves half of `from` to `to` and returns one of them, or NULL. Takes
 * from's runnext when the ring is empty and `with_runnext`. */
struct runnable *run_queue_steal(struct run_queue *to, struct run_queue *from, bool with_runnext);
