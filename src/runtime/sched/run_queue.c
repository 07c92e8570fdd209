/* run_queue.c - the rarer half of run_queue.h. */
#include "runtime/sched/run_queue.h"

#include "base/check.h"

uint32_t run_queue_take_half(struct run_queue *q, struct runnable **out)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    uint32_t n = (tail - head) / 2;
    if (n != RUN_QUEUE_SIZE / 2)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        out[i] = atomic_load_explicit(&q->ring[(head + i) % RUN_QUEUE_SIZE], memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&q->head, &head, head + n, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return 0;
    return n;
}

struct runnable *run_queue_steal(struct run_queue *to, struct run_queue *from, bool with_runnext)
{
    uint32_t own_tail = atomic_load_explicit(&to->tail, memory_order_relaxed);
    tu_assert(run_queue_length(to) == 0); /* a thief has nothing, so half a ring always fits */
    for (;;) {
        uint32_t head = atomic_load_explicit(&from->head, memory_order_acquire);
        uint32_t tail = atomic_load_explicit(&from->tail, memory_order_acquire);
        uint32_t n = tail - head;
        if (n > RUN_QUEUE_SIZE)
            continue; /* head and tail were read at different times */
        n -= n / 2;
        if (n == 0) {
            struct runnable *r =
                with_runnext ? atomic_load_explicit(&from->runnext, memory_order_relaxed) : NULL;
            if (r && atomic_compare_exchange_strong_explicit(
                         &from->runnext, &r, NULL, memory_order_acq_rel, memory_order_relaxed))
                return r;
            return NULL;
        }
        for (uint32_t i = 0; i < n; i++) {
            struct runnable *r = atomic_load_explicit(&from->ring[(head + i) % RUN_QUEUE_SIZE],
                                                      memory_order_relaxed);
            atomic_store_explicit(&to->ring[(own_tail + i) % RUN_QUEUE_SIZE], r,
                                  memory_order_relaxed);
        }
        if (!atomic_compare_exchange_strong_explicit(&from->head, &head, head + n,
                                                     memory_order_acq_rel, memory_order_relaxed))
            continue;
        n--;
        struct runnable *last =
            atomic_load_explicit(&to->ring[(own_tail + n) % RUN_QUEUE_SIZE], memory_order_relaxed);
        if (n > 0) /* pairs with the acquire of tail by the next thief */
            atomic_store_explicit(&to->tail, own_tail + n, memory_order_release);
        return last;
    }
}
