/* gc_pace.c - when a cycle begins, who asks for one, settings, statistics.
 *
 * `goal` is what was alive after the last cycle plus TUCO_GC percent, within the limit. A cycle begins earlier, by what
 * the program allocated while the last one was marking and a bit, so that it ends at about the goal. If the
 * program is faster than that, threads that claim blocks beyond the middle between the two mark a little themselves, for
 * some tens of microseconds at a time: that slows them down as far as is needed, and never stops them for long.
 */
#include "runtime/gc/collector.h"

#include "base/check.h"
#include "platform/clock.h"
#include "platform/futex.h"
#include "platform/thread.h"
#include "runtime/gc/gc_phase.h"
#include "runtime/gc/gc_shadow.h"
#include "runtime/gc/gc_work.h"
#include "runtime/observe/report.h"
#include "runtime/sched/foreign.h"
#include "runtime/sched/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_GOAL ((size_t)16 << 20)
enum { ASSIST_NS = 30000, ASSIST_OBJECTS = 32 };

/* A call of tu_gc: woken when cycle number `cycle` has ended. On the caller's stack. */
struct waiter {
    struct waiter *next;
    uint64_t cycle;
    struct tu__foreign done;
};

static struct {
    struct tu__lock lock; /* settings, statistics, waiters */
    _Atomic bool configured;
    bool running;
    bool forked; /* in a forked child: its thread is the parent's */
    bool trace;
    int percent;
    bool generations;
    size_t limit;
    size_t
        major_live; /* bytes alive after the last major cycle; 0: none has been with generations on */
    uint64_t major_from; /* cycles up to this number are major: somebody waits for one */
    size_t runway;       /* bytes that were allocated while the last cycle marked */
    struct tu_gc_stats stats;
    uint64_t begun, ended; /* cycles */
    struct waiter *waiters;
    _Atomic uint32_t wanted;     /* a futex: a cycle is to begin */
    _Atomic size_t assist_from;  /* used_bytes beyond which threads help to mark */
    _Atomic uint64_t assists_ns; /* since the start */
    _Atomic uint32_t torture, claims;
} pace;

/* ---- settings ---- */

static size_t parse_size(const char *text)
{
    char *end;
    size_t size = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    return size << shift;
}

/* The lock is held. */
static void set_goal_locked(void)
{
    size_t live = pace.stats.live_bytes, goal = SIZE_MAX, trigger = SIZE_MAX;
    if (pace.percent >= 0) {
        goal = live + (size_t)((double)live * pace.percent / 100);
        if (goal < LEAST_GOAL)
            goal = LEAST_GOAL;
    }
    if (pace.limit && goal > pace.limit) {
        /* However little is left: an eighth more than what is alive, or it would never do anything else. */
        size_t least = live + live / 8;
        goal = pace.limit > least ? pace.limit : least;
    }
    if (goal != SIZE_MAX) {
        size_t room = goal > live ? goal - live : 0, runway = pace.runway + pace.runway / 8;
        if (runway < room / 16)
            runway = room / 16;
        if (runway > room / 2)
            runway = room / 2;
        trigger = goal - runway;
        atomic_store_explicit(&pace.assist_from, goal - runway / 2, memory_order_relaxed);
    } else {
        atomic_store_explicit(&pace.assist_from, SIZE_MAX, memory_order_relaxed);
    }
    tu__pages_expect(goal != SIZE_MAX && goal > live ? (goal - live) >> PAGE_SHIFT : 0);
    pace.stats.goal_bytes = goal;
    atomic_store_explicit(&tu__collected.trigger, trigger, memory_order_relaxed);
}

static void configure_locked(void)
{
    if (atomic_load_explicit(&pace.configured, memory_order_relaxed))
        return;
    const char *percent = getenv("TUCO_GC"), *limit = getenv("TUCO_GC_LIMIT"),
               *trace = getenv("TUCO_GCTRACE"), *generations = getenv("TUCO_GC_GENERATIONS"),
               *shadow = getenv("TUCO_GCSHADOW");
    pace.percent = !percent ? 100 : strcmp(percent, "off") == 0 ? -1 : atoi(percent);
    pace.limit = limit ? parse_size(limit) : 0;
    pace.generations = generations && atoi(generations) > 0;
    pace.trace = trace && atoi(trace) > 0;
    if (shadow && atoi(shadow) > 0)
        tu__shadow_begin();
    tu__gc_barrier(false);
    set_goal_locked();
    atomic_store_explicit(&pace.configured, true, memory_order_release);
}

static size_t used_bytes(void)
{
    return atomic_load_explicit(&tu__collected.used_bytes, memory_order_relaxed);
}

/* ---- the collector's thread ---- */

static void report_each(struct report *out, const struct cycle *c, bool reach)
{
    char text[32];
    for (uint32_t i = 0; i < c->stops && i < sizeof c->each / sizeof c->each[0]; i++) {
        int64_t ns = reach ? c->each[i].reach_ns : c->each[i].pause_ns;
        snprintf(text, sizeof text, "%s%.3f", i ? " + " : "", (double)ns / 1e6);
        report_text(out, text);
    }
}

/* gc 7: mark 1.234 ms, stops each 0.043 + 0.034 ms (until all stood 0.031 + 0.030), sweep 0.050 ms, scanned 1.2 MB,
 * 8.0 -> 4.1 MB, goal 8.2 MB */
static void print_trace(size_t before)
{
    const struct cycle *c = tu__gc_cycle();
    struct tu_gc_stats s;
    struct report out;
    char line[160];
    tu_gc_stats(&s);
    report_init(&out, STDERR_FILENO);
    snprintf(line, sizeof line, "gc %llu%s: mark %.3f ms, stops each ",
             (unsigned long long)s.cycles, c->minor ? " (minor)" : "", (double)c->mark_ns / 1e6);
    report_text(&out, line);
    report_each(&out, c, false);
    report_text(&out, " ms (until all stood ");
    report_each(&out, c, true);
    snprintf(line, sizeof line,
             "), sweep %.3f ms, scanned %.1f MB, %.1f -> %.1f MB, goal %.1f MB\n",
             (double)c->sweep_ns / 1e6, (double)c->stack.scanned_bytes / 1048576,
             (double)before / 1048576, (double)s.live_bytes / 1048576,
             s.goal_bytes == SIZE_MAX ? 0.0 : (double)s.goal_bytes / 1048576);
    report_text(&out, line);
    report_flush(&out);
}

static void note_cycle(size_t before, size_t after_marking)
{
    struct cycle *c = tu__gc_cycle();
    struct tu_gc_stats *s = &pace.stats;
    tu__lock(&pace.lock);
    s->cycles++;
    s->live_bytes = used_bytes();
    s->pause_ns += c->pause_ns;
    s->mark_ns = c->mark_ns;
    if (c->longest_pause_ns > s->longest_pause_ns)
        s->longest_pause_ns = c->longest_pause_ns;
    s->minor_cycles += c->minor;
    if (!c->minor)
        pace.major_live = c->generations ? s->live_bytes + 1 : 0;
    pace.runway = after_marking > before ? after_marking - before : 0;
    set_goal_locked();
    tu__unlock(&pace.lock);
    if (pace.trace)
        print_trace(before);
}

/* Minor as long as what is old has not grown by as much as the whole heap may grow without generations. */
static void choose_kind_locked(uint64_t number)
{
    struct cycle *c = tu__gc_cycle();
    size_t live = pace.stats.live_bytes, most = pace.major_live;
    most += (size_t)((double)most * (pace.percent > 0 ? pace.percent : 0) / 100);
    if (most < LEAST_GOAL)
        most = LEAST_GOAL;
    bool roomy = !pace.limit || used_bytes() < pace.limit - pace.limit / 8;
    c->minor = pace.generations && c->generations && pace.major_live > 0 &&
               number > pace.major_from && live < most && roomy;
    c->generations = pace.generations;
}

/* Takes those out who have waited for it. The lock is held. */
static struct waiter *take_waiters_locked(void)
{
    struct waiter *done = NULL, **link = &pace.waiters;
    for (struct waiter *w; (w = *link);) {
        if (w->cycle > pace.ended) {
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
    thread_short_slices();
    for (;;) {
        while (atomic_load_explicit(&pace.wanted, memory_order_acquire) == 0)
            (void)futex_wait(&pace.wanted, 0, -1);
        atomic_store_explicit(&pace.wanted, 0, memory_order_relaxed);
        tu__lock(&pace.lock);
        uint64_t number = ++pace.begun;
        choose_kind_locked(number);
        tu__unlock(&pace.lock);
        size_t before = used_bytes();
        atomic_store_explicit(&tu__collected.trigger, SIZE_MAX, memory_order_relaxed);
        /* Numbers of cycles, as goroutines note them, are never 0. */
        tu__gc_run_cycle((uint32_t)(number % UINT32_MAX) + 1);
        note_cycle(before, tu__gc_cycle()->used_after_marking);
        tu__lock(&pace.lock);
        pace.ended = number;
        struct waiter *done = take_waiters_locked();
        tu__unlock(&pace.lock);
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
    if (pace.forked)
        return false;
    if (!pace.running)
        pace.running =
            tu__gc_stop_init() == 0 && thread_start(collect, NULL, 256 << 10, "tuco-gc") == 0;
    return pace.running;
}

static void want_cycle(void)
{
    if (atomic_exchange_explicit(&pace.wanted, 1, memory_order_release) == 0)
        futex_wake(&pace.wanted, 1);
}

static void ask_for_cycle(void)
{
    tu__lock(&pace.lock);
    bool running = start_locked();
    tu__unlock(&pace.lock);
    if (running)
        want_cycle();
}

/* ---- what threads do when they claim blocks ---- */

static bool torture_is_due(void)
{
    uint32_t every = atomic_load_explicit(&pace.torture, memory_order_relaxed);
    return every && atomic_fetch_add_explicit(&pace.claims, 1, memory_order_relaxed) % every == 0;
}

static void assist(void)
{
    struct gc_thread *t = tu__gc_busy_begin();
    if (!t)
        return;
    int64_t began_ns = clock_monotonic_ns(), now_ns = began_ns;
    tu__gc_help_begin();
    while (atomic_load_explicit(&tu__gc_marking, memory_order_relaxed) != 0 &&
           !tu__mark_drain(&t->stack, ASSIST_OBJECTS) &&
           atomic_load_explicit(&t->asked, memory_order_relaxed) == 0 &&
           now_ns - began_ns < ASSIST_NS)
        now_ns = clock_monotonic_ns();
    tu__gc_help_end(&t->stack);
    tu__gc_busy_end(t);
    atomic_fetch_add_explicit(&pace.assists_ns, (uint64_t)(now_ns - began_ns),
                              memory_order_relaxed);
}

void tu__gc_pace(void)
{
    if (!atomic_load_explicit(&pace.configured, memory_order_acquire)) {
        tu__lock(&pace.lock);
        configure_locked();
        tu__unlock(&pace.lock);
    }
    size_t used = used_bytes();
    if (atomic_load_explicit(&tu__gc_marking, memory_order_relaxed) != 0) {
        if (used >= atomic_load_explicit(&pace.assist_from, memory_order_relaxed))
            assist();
    } else if (used >= atomic_load_explicit(&tu__collected.trigger, memory_order_relaxed) &&
               atomic_load_explicit(&pace.wanted, memory_order_relaxed) == 0) {
        ask_for_cycle();
    }
    if (torture_is_due())
        ask_for_cycle();
}

bool tu__gc_out_of_memory(void)
{
    /* The thread waits, and not the goroutine: its caller may hold locks, and expects not to park. */
    tu__lock(&pace.lock);
    bool running = start_locked();
    uint64_t wanted = pace.major_from = pace.begun + 1;
    tu__unlock(&pace.lock);
    if (!running)
        return false;
    want_cycle();
    for (bool ended = false; !ended;) {
        thread_sleep_ns(100000);
        tu__lock(&pace.lock);
        ended = pace.ended >= wanted;
        tu__unlock(&pace.lock);
    }
    return true;
}

void tu__gc_before_fork(void)
{
    tu__lock(&pace.lock);
    tu__gc_cycle_before_fork();
}

void tu__gc_after_fork(bool child)
{
    tu__gc_cycle_after_fork(child);
    if (child) {
        tu__lock_after_fork(&pace.lock);
        pace.forked |= pace.running;
    } else {
        tu__unlock(&pace.lock);
    }
}

void tu__gc_torture(uint32_t every)
{
    tu__collected.poison = every != 0;
    tu__gc_cycle()->verify = every != 0;
    atomic_store(&pace.torture, every);
}

/* ---- public ---- */

void tu_gc(void)
{
    struct waiter w;
    tu__foreign_init(&w.done, TU__WAIT_GC);
    tu__lock(&pace.lock);
    bool running = start_locked();
    if (running) {
        w.cycle = pace.major_from = pace.begun + 1; /* one that has not begun yet */
        w.next = pace.waiters;
        pace.waiters = &w;
    }
    tu__unlock(&pace.lock);
    if (!running)
        return;
    want_cycle();
    (void)tu__foreign_wait(&w.done, false);
}

int tu_gc_set_percent(int percent)
{
    tu__lock(&pace.lock);
    configure_locked();
    int before = pace.percent;
    pace.percent = percent < 0 ? -1 : percent;
    set_goal_locked();
    tu__unlock(&pace.lock);
    return before;
}

size_t tu_gc_set_limit(size_t bytes)
{
    tu__lock(&pace.lock);
    configure_locked();
    size_t before = pace.limit;
    pace.limit = bytes;
    set_goal_locked();
    tu__unlock(&pace.lock);
    return before;
}

bool tu_gc_set_generations(bool on)
{
    tu__lock(&pace.lock);
    configure_locked();
    bool before = pace.generations;
    pace.generations = on;
    tu__unlock(&pace.lock);
    return before;
}

void tu_gc_stats(struct tu_gc_stats *out)
{
    tu__lock(&pace.lock);
    configure_locked();
    *out = pace.stats;
    tu__unlock(&pace.lock);
    tu__lock(&tu__collected.lock);
    out->heap_bytes = tu__collected.pages << PAGE_SHIFT;
    out->used_bytes = used_bytes();
    out->freed_objects = tu__collected.freed_objects;
    out->freed_bytes = tu__collected.freed_bytes;
    tu__unlock(&tu__collected.lock);
}
