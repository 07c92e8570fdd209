/* collector.c - cycles: when they begin, and their steps.
 *
 * One thread of the collector's own does all of it, the program standing still while it marks:
 *
 *   1 takes the locks of what may not be half done (roots, records, claiming); stops all threads
 *   2 marks what threads have claimed, and what stacks, registers, roots and pins point to; all that is reached
 *   3 all spans are to be swept; the threads go on
 *   4 sweeps, beside the program
 *
 * Between two cycles everything is swept, and no mark is set.
 */
#include "runtime/gc/collector.h"

#include "base/check.h"
#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/thread.h"
#include "runtime/gc/gc_anchor.h"
#include "runtime/gc/gc_stacks.h"
#include "runtime/sched/foreign.h"
#include "runtime/sched/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_GOAL ((size_t)4 << 20)
enum { SWEEP_SPANS = 32 };

/* A call of tu_gc: woken when cycle number `cycle` has ended. On the caller's stack. */
struct waiter {
    struct waiter *next;
    uint64_t cycle;
    struct tu__foreign done;
};

static struct {
    struct tu__lock lock; /* settings, statistics, waiters */
    bool configured, running;
    bool forked; /* in a forked child: its thread is the parent's */
    bool trace;
    int percent;
    size_t limit;
    struct tu_gc_stats stats;
    uint64_t begun, ended; /* cycles */
    struct waiter *waiters;
    _Atomic uint32_t wanted; /* a futex: a cycle is to begin */
    _Atomic uint32_t torture, claims;
    struct mark_stack stack;
} collector;

/* ---- settings ---- */

static size_t parse_size(const char *text)
{
    char *end;
    size_t size = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    return size << shift;
}

/* used_bytes at which the next cycle begins. The lock is held. */
static void set_goal_locked(void)
{
    size_t live = collector.stats.live_bytes, goal = SIZE_MAX;
    if (collector.percent >= 0) {
        goal = live + (size_t)((double)live * collector.percent / 100);
        if (goal < LEAST_GOAL)
            goal = LEAST_GOAL;
    }
    if (collector.limit && goal > collector.limit) {
        /* However little is left: an eighth more than what is alive, or it would never do anything else. */
        size_t least = live + live / 8;
        goal = collector.limit > least ? collector.limit : least;
    }
    collector.stats.goal_bytes = goal;
    atomic_store_explicit(&tu__collected.trigger, goal, memory_order_relaxed);
}

static void configure_locked(void)
{
    if (collector.configured)
        return;
    collector.configured = true;
    const char *percent = getenv("TUCO_GC"), *limit = getenv("TUCO_GC_LIMIT"),
               *trace = getenv("TUCO_GCTRACE");
    collector.percent = !percent ? 100 : strcmp(percent, "off") == 0 ? -1 : atoi(percent);
    collector.limit = limit ? parse_size(limit) : 0;
    collector.trace = trace && atoi(trace) > 0;
    set_goal_locked();
}

/* ---- one cycle ---- */

static void lock_all(void)
{
    tu__gc_roots_lock();
    tu__lock(&tu__gc_threads.lock);
    tu__gc_anchors_lock();
    tu__lock(&tu__collected.lock);
}

static void unlock_all(void)
{
    tu__unlock(&tu__collected.lock);
    tu__gc_anchors_unlock();
    tu__unlock(&tu__gc_threads.lock);
    tu__gc_roots_unlock();
}

static void scan_range(const void *start, size_t size, void *stack)
{
    tu__mark_words(stack, start, (const char *)start + size);
}

static void mark_claimed(void)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        for (uint32_t key = 0; key < KEYS; key++)
            tu__collected_mark_claimed(&t->slots[key]);
}

static void scan_roots(uint32_t cycle)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (!t->idle)
            tu__gc_scan_thread(&collector.stack, t, cycle);
    tu__gc_roots_each(scan_range, &collector.stack);
}

static void mark_all(uint32_t cycle)
{
    mark_claimed();
    scan_roots(cycle);
    tu__gc_scan_parked(&collector.stack, cycle);
    tu__gc_anchors_each(scan_range, &collector.stack);
    (void)tu__mark_drain(&collector.stack, SIZE_MAX);
    tu__mark_rescan(&collector.stack, true);
    tu__mark_flush(&collector.stack);
}

static void sweep(void)
{
    while (tu__collected_sweep(SWEEP_SPANS)) {
    }
}

static void print_trace(int64_t pause_ns, int64_t sweep_ns, size_t before)
{
    struct tu_gc_stats s;
    char line[256];
    tu_gc_stats(&s);
    int n = snprintf(line, sizeof line,
                     "gc %llu: stopped %.3f ms, swept %.3f ms, %.1f -> %.1f MB, goal %.1f MB\n",
                     (unsigned long long)s.cycles, (double)pause_ns / 1e6, (double)sweep_ns / 1e6,
                     (double)before / 1048576, (double)s.live_bytes / 1048576,
                     (double)s.goal_bytes / 1048576);
    (void)!write(STDERR_FILENO, line, (size_t)n);
}

static void run_cycle(void)
{
    size_t before = atomic_load_explicit(&tu__collected.used_bytes, memory_order_relaxed);
    lock_all();
    int64_t began_ns = clock_monotonic_ns();
    tu__gc_stop();
    mark_all((uint32_t)collector.begun);
    tu__collected_begin_sweep();
    tu__gc_go_on();
    int64_t pause_ns = clock_monotonic_ns() - began_ns;
    unlock_all();
    sweep();
    int64_t sweep_ns = clock_monotonic_ns() - began_ns - pause_ns;
    tu__lock(&collector.lock);
    struct tu_gc_stats *s = &collector.stats;
    s->cycles++;
    s->live_bytes = atomic_load_explicit(&tu__collected.used_bytes, memory_order_relaxed);
    s->pause_ns += pause_ns;
    s->mark_ns = pause_ns;
    if (pause_ns > s->longest_pause_ns)
        s->longest_pause_ns = pause_ns;
    set_goal_locked();
    tu__unlock(&collector.lock);
    if (collector.trace)
        print_trace(pause_ns, sweep_ns, before);
}

/* ---- the collector's thread ---- */

/* Takes those out who have waited for it. The lock is held. */
static struct waiter *take_waiters_locked(void)
{
    struct waiter *done = NULL, **link = &collector.waiters;
    for (struct waiter *w; (w = *link);) {
        if (w->cycle > collector.ended) {
            link = &w->next;
            continue;
        }
        *link = w->next;
        w->next = done;
        done = w;
    }
    return done;
}

static void *collect(void *unused)
{
    for (;;) {
        while (atomic_load_explicit(&collector.wanted, memory_order_acquire) == 0)
            (void)futex_wait(&collector.wanted, 0, -1);
        atomic_store_explicit(&collector.wanted, 0, memory_order_relaxed);
        tu__lock(&collector.lock);
        collector.begun++;
        tu__unlock(&collector.lock);
        run_cycle();
        tu__lock(&collector.lock);
        collector.ended = collector.begun;
        struct waiter *done = take_waiters_locked();
        tu__unlock(&collector.lock);
        for (struct waiter *next; done; done = next) {
            next = done->next; /* it is gone once it knows */
            tu__foreign_done(&done->done, 0);
        }
    }
    return unused;
}

/* False: there can be no collector. The lock is held. */
static bool start_locked(void)
{
    configure_locked();
    if (collector.forked)
        return false;
    if (!collector.running)
        collector.running =
            tu__gc_stop_init() == 0 && thread_start(collect, NULL, 256 << 10, "tuco-gc") == 0;
    return collector.running;
}

static void want_cycle(void)
{
    if (atomic_exchange_explicit(&collector.wanted, 1, memory_order_release) == 0)
        futex_wake(&collector.wanted, 1);
}

static void ask_for_cycle(void)
{
    tu__lock(&collector.lock);
    bool running = start_locked();
    tu__unlock(&collector.lock);
    if (running)
        want_cycle();
}

static bool torture_is_due(void)
{
    uint32_t every = atomic_load_explicit(&collector.torture, memory_order_relaxed);
    return every &&
           atomic_fetch_add_explicit(&collector.claims, 1, memory_order_relaxed) % every == 0;
}

void tu__gc_pace(void)
{
    if (!__atomic_load_n(&collector.configured, __ATOMIC_ACQUIRE)) {
        tu__lock(&collector.lock);
        configure_locked();
        tu__unlock(&collector.lock);
    }
    size_t used = atomic_load_explicit(&tu__collected.used_bytes, memory_order_relaxed);
    if (torture_is_due() ||
        (used >= atomic_load_explicit(&tu__collected.trigger, memory_order_relaxed) &&
         atomic_load_explicit(&collector.wanted, memory_order_relaxed) == 0))
        ask_for_cycle();
}

/* Waits for a cycle that has not begun yet. */
static void wait_for_cycle(struct waiter *w)
{
    tu__foreign_init(&w->done, TU__WAIT_GC);
    tu__lock(&collector.lock);
    bool running = start_locked();
    if (running) {
        w->cycle = collector.begun + 1;
        w->next = collector.waiters;
        collector.waiters = w;
    }
    tu__unlock(&collector.lock);
    if (!running)
        return;
    want_cycle();
    (void)tu__foreign_wait(&w->done, false);
}

bool tu__gc_out_of_memory(void)
{
    /* The thread waits, and not the goroutine: its caller may hold locks, and expects not to park. */
    tu__lock(&collector.lock);
    bool running = start_locked();
    uint64_t cycle = collector.begun + 1;
    tu__unlock(&collector.lock);
    if (!running)
        return false;
    want_cycle();
    for (;;) {
        tu__lock(&collector.lock);
        bool ended = collector.ended >= cycle;
        tu__unlock(&collector.lock);
        if (ended)
            return true;
        thread_sleep_ns(100000);
    }
}

void tu__gc_before_fork(void)
{
    tu__lock(&collector.lock);
    lock_all();
}

void tu__gc_after_fork(bool child)
{
    if (child) { /* the lock's owner is this thread */
        tu__lock_after_fork(&tu__collected.lock);
        tu__gc_anchors_after_fork();
        tu__lock_after_fork(&tu__gc_threads.lock);
        tu__gc_roots_after_fork();
        tu__lock_after_fork(&collector.lock);
        collector.forked |= collector.running;
        tu__gc_threads_forked();
        return;
    }
    unlock_all();
    tu__unlock(&collector.lock);
}

void tu__gc_torture(uint32_t every)
{
    tu__collected.poison = every != 0;
    atomic_store(&collector.torture, every);
}

/* ---- public ---- */

void tu_gc(void)
{
    struct waiter w;
    wait_for_cycle(&w);
}

int tu_gc_set_percent(int percent)
{
    tu__lock(&collector.lock);
    configure_locked();
    int before = collector.percent;
    collector.percent = percent < 0 ? -1 : percent;
    set_goal_locked();
    tu__unlock(&collector.lock);
    return before;
}

size_t tu_gc_set_limit(size_t bytes)
{
    tu__lock(&collector.lock);
    configure_locked();
    size_t before = collector.limit;
    collector.limit = bytes;
    set_goal_locked();
    tu__unlock(&collector.lock);
    return before;
}

void tu_gc_stats(struct tu_gc_stats *out)
{
    tu__lock(&collector.lock);
    configure_locked();
    *out = collector.stats;
    tu__unlock(&collector.lock);
    tu__lock(&tu__collected.lock);
    out->heap_bytes = tu__collected.pages << PAGE_SHIFT;
    out->used_bytes = atomic_load_explicit(&tu__collected.used_bytes, memory_order_relaxed);
    out->freed_objects = tu__collected.freed_objects;
    out->freed_bytes = tu__collected.freed_bytes;
    tu__unlock(&tu__collected.lock);
}
