/* gc_work.c - see gc_work.h.
 *
 * A helper takes full buffers from the pool and scans; what it finds fills buffers for itself and others. It counts as
 * `inside` from before it looks at the pool until it has given everything back, so:
 *
 *     inside == 0, then pool empty   =>   nothing is left
 *
 * since only those inside put buffers there, and the program's threads, which the collector stops. Such a thread is
 * inside as well while it helps: what it has taken could be all there is, and it may have lost its core with it.
 */
#include "runtime/gc/gc_work.h"

#include "platform/cpu.h"
#include "platform/futex.h"
#include "platform/thread.h"
#include "runtime/sched/schedule.h"

enum { HELPERS_MAX = 16, SLICE = 256, PATIENCE = 50 /* looks at an empty pool */, NAP_NS = 20000 };

static struct {
    _Atomic uint32_t round;  /* a futex: grows when helpers are wanted */
    _Atomic uint32_t wanted; /* how many */
    _Atomic uint32_t inside;
    uint32_t started;
} work;

/* Scans as long as there is something. */
static void help(struct mark_stack *stack)
{
    for (int empty = 0; empty < PATIENCE; empty++) {
        tu__gc_help_begin();
        if (!tu__mark_pool_empty() || stack->top) {
            empty = 0;
            while (!tu__mark_drain(stack, SLICE))
                tu__mark_share(stack);
        }
        tu__gc_help_end(stack);
        for (int i = 0; i < 100 && tu__mark_pool_empty(); i++)
            cpu_pause();
    }
}

static void *helper(void *index)
{
    struct mark_stack stack = {0};
    uint32_t seen = 0;
    for (;;) {
        uint32_t round = atomic_load_explicit(&work.round, memory_order_acquire);
        if (round == seen) {
            (void)futex_wait(&work.round, seen, -1);
            continue;
        }
        seen = round;
        if ((uintptr_t)index < atomic_load_explicit(&work.wanted, memory_order_relaxed))
            help(&stack);
    }
    return NULL;
}

/* The collector is one, so on few Ps there is none. */
static uint32_t helpers_wanted(void)
{
    uint32_t procs = tu__sched.proc_count;
    int32_t idle = atomic_load_explicit(&tu__sched.idle_count, memory_order_relaxed);
    uint32_t wanted = procs / 4 + (idle > 0 ? (uint32_t)idle : 0);
    wanted = wanted > 0 ? wanted - 1 : 0;
    return wanted < HELPERS_MAX ? wanted : HELPERS_MAX;
}

static void call_helpers(void)
{
    uint32_t wanted = helpers_wanted();
    while (work.started < wanted &&
           thread_start(helper, (void *)(uintptr_t)work.started, 256 << 10, "tuco-gc-help") == 0)
        work.started++;
    if (wanted == 0)
        return;
    atomic_store_explicit(&work.wanted, wanted, memory_order_relaxed);
    atomic_fetch_add_explicit(&work.round, 1, memory_order_release);
    futex_wake(&work.round, INT32_MAX);
}

void tu__gc_help_begin(void)
{
    atomic_fetch_add(&work.inside, 1);
}

void tu__gc_help_end(struct mark_stack *stack)
{
    tu__mark_flush(stack);
    atomic_fetch_sub(&work.inside, 1);
}

bool tu__gc_helpers_out(void)
{
    return atomic_load(&work.inside) == 0;
}

void tu__gc_work(struct mark_stack *stack)
{
    call_helpers();
    for (int spins = 0;; spins++) {
        while (!tu__mark_drain(stack, SLICE))
            tu__mark_share(stack);
        if (atomic_load(&work.inside) == 0 && tu__mark_pool_empty())
            return;
        if (spins % 200 == 199)
            thread_sleep_ns(NAP_NS); /* who is inside may wait for our core */
        cpu_pause();
    }
}
