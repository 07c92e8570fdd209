/* monitor.c - one thread, without a P, that takes Ps from hogs and blocking calls.
 *
 * Every millisecond it compares each P's tick with the one it saw before. No decision for 10 ms means that
 * one goroutine computes, or sits in a system call: its P is handed to another M (the protocol is in
 * schedule.h) and the goroutine keeps its thread. Work that waits behind it moves with the P; so do
 * its timers and its poller. Before that, from the first unchanged look on, the monitor polls in its
 * place, so that connections registered there are served by other Ps within a few milliseconds.
 * While every P is asleep the monitor sleeps as well.
 */
#include "runtime/sched/schedule.h"

#include "base/check.h"
#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/thread.h"

enum { PERIOD_NS = 1000000, HOG_NS = 10000000, SLEEP_MAX_NS = 1000000000 };

/* True if the P is ours now. */
static bool take_from(struct p *p, struct m *m)
{
    uint32_t expected = LOST_NO;
    if (!atomic_compare_exchange_strong(&m->lost, &expected, LOST_ASKED))
        return false;
    barrier_all_threads(); /* pairs with the compiler barrier in tu__enter */
    expected = LOST_ASKED;
    uint32_t next = LOST_TAKEN;
    /* In user code an M keeps its P until it gets past our question; the P may have moved before. */
    if (atomic_load(&m->in_runtime) != 0 || atomic_load(&p->m) != m)
        next = LOST_NO;
    return atomic_compare_exchange_strong(&m->lost, &expected, next) && next == LOST_TAKEN;
}

/* What is ready goes to the global queue, since this thread has no P, and wakes one. */
static void poll_for(struct p *p)
{
    struct poll_event events[POLL_EVENTS_MAX];
    bool woken = false;
    int n = poll_wait(&p->poll, events, POLL_EVENTS_MAX, 0, &woken);
    if (woken) /* meant for its M, which may have gone to sleep since we looked */
        poll_wake(&p->poll);
    for (int i = 0; i < n; i++)
        tu__pollable_event(events[i].data, events[i].events);
}

/* Whether anybody could use the P while its goroutine keeps it. A goroutine without a P pays more for each
 * call of the runtime (arming a timer: 1,300 ns instead of 50), so it loses it only for somebody's good. */
static bool needed(struct p *p, int64_t now_ns)
{
    return !run_queue_empty(&p->queue) ||
           atomic_load_explicit(&p->fresh_count, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&p->conns, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&p->timers.next_ns, memory_order_relaxed) <= now_ns ||
           atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) > 0;
}

static void look_at(struct p *p, int64_t now_ns)
{
    struct m *m = atomic_load_explicit(&p->m, memory_order_acquire);
    uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed);
    if (!m) { /* no thread could be started for it the last time */
        (void)tu__start_machine(p);
        return;
    }
    int64_t waiting = (int64_t)run_queue_length(&p->queue) *
                      atomic_load_explicit(&p->pace_ticks, memory_order_relaxed);
    if (waiting > TU__HELP_TICKS)
        tu__wake_one();
    if (atomic_load_explicit(&p->asleep, memory_order_relaxed) || tick != p->seen_tick) {
        p->seen_tick = tick;
        p->seen_ns = now_ns;
        return;
    }
    /* One goroutine has run for a whole period: whatever the P's pace was, it is no less now. */
    if (atomic_load_explicit(&p->pace_ticks, memory_order_relaxed) < TU__HELP_TICKS)
        atomic_store_explicit(&p->pace_ticks, TU__HELP_TICKS, memory_order_relaxed);
    if (!run_queue_empty(&p->queue))
        tu__wake_one();
    if (atomic_load_explicit(&p->conns, memory_order_relaxed) > 0)
        poll_for(p);
    if (atomic_load_explicit(&p->timers.next_ns, memory_order_relaxed) < now_ns)
        atomic_store_explicit(&p->attention, 1, memory_order_relaxed);
    bool blocking = atomic_load_explicit(&m->blocking, memory_order_relaxed) > 0;
    if (!blocking && now_ns - p->seen_ns < HOG_NS)
        return;
    if (!needed(p, now_ns) || atomic_load_explicit(&m->in_runtime, memory_order_relaxed) != 0 ||
        !take_from(p, m))
        return;
    atomic_store_explicit(&p->m, NULL, memory_order_relaxed);
    p->seen_ns = now_ns;
    (void)tu__start_machine(p); /* failed: p->m stays NULL and the next round tries again */
}

static void sleep_while_idle(void)
{
    if (atomic_load(&tu__sched.idle_count) < (int32_t)tu__sched.proc_count)
        return;
    atomic_store(&tu__sched.monitor_asleep, 1);
    if (atomic_load(&tu__sched.idle_count) == (int32_t)tu__sched.proc_count)
        (void)futex_wait(&tu__sched.monitor_asleep, 1, SLEEP_MAX_NS);
    atomic_store(&tu__sched.monitor_asleep, 0);
}

static void *monitor(void *unused)
{
    for (;;) {
        thread_sleep_ns(PERIOD_NS);
        sleep_while_idle();
        int64_t now_ns = clock_monotonic_ns();
        for (uint32_t i = 0; i < tu__sched.proc_count; i++)
            look_at(&tu__sched.procs[i], now_ns);
        if (atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) > 0)
            tu__wake_one();
    }
    return unused;
}

int tu__monitor_start(void)
{
    return thread_start(monitor, NULL, 256 << 10, "tuco-monitor");
}
