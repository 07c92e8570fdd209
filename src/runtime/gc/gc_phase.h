/* gc_phase.h - what the rest of the runtime does while the collector marks beside it.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/sched/fiber.h"
#include "runtime/sched/goroutine.h"

/* The number of the cycle that is marking, 0 while none is. Changes only while all threads stand. */
extern _Atomic uint32_t tu__gc_marking;

/* Of a goroutine that goes on, or begins: the first thing to ask on its stack, before any call (gc_stacks.h). True: it
 * has to scan itself before it does anything else. */
static inline __attribute__((always_inline)) bool tu__gc_unseen(struct g *g)
{
    uint32_t cycle = atomic_load_explicit(&tu__gc_marking, memory_order_relaxed);
#if defined(TU__ASAN) || defined(TU__TSAN)
    return cycle != 0;
#else
    return __builtin_expect(cycle != 0, 0) &&
           atomic_load_explicit(&g->scanned, memory_order_acquire) != cycle;
#endif
}
void tu__gc_scan_self(struct g *g);

/* Of a new goroutine: what it was given is known to who started it. */
static inline void tu__gc_born(struct g *g)
{
    atomic_store_explicit(&g->scanned, atomic_load_explicit(&tu__gc_marking, memory_order_relaxed),
                          memory_order_relaxed);
}

/* After values were taken out of memory that the collector knows by an anchor, and before that memory is used for
 * something else: marks what the words there point to. */
void tu__gc_shade_words(const void *start, size_t size);
static inline void tu__gc_taken(const void *start, size_t size)
{
    atomic_signal_fence(
        memory_order_seq_cst); /* taken first: a cycle that begins here finds them with us */
    if (__builtin_expect(atomic_load_explicit(&tu__gc_marking, memory_order_relaxed) != 0, 0))
        tu__gc_shade_words(start, size);
}
