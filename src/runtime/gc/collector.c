/* collector.c - cycles: when they begin, their steps, and why no object is lost.
 *
 * A thread of the collector's own marks and sweeps beside the program, which stands still twice in a cycle.
 *
 *   1 stop    takes the locks of what may not be half done; marks what threads have claimed; scans the registers and
 *             stacks of all threads, with the goroutines on them, the roots and the pins; tu__gc_marking = cycle
 *   2 mark    scans parked goroutines, anchors, and the objects that are reached
 *   3 stop    when nothing is left on any stack of marks: tu__gc_marking = 0; else 2 again
 *   4 clear   weak pointers to what is not marked; what is claimed meanwhile is marked still
 *   5 sweep
 *
 * What was reachable at step 1, the snapshot, is marked when step 3 ends:
 *
 *   - A pointer in an object stays there, or is marked before it is overwritten (gc_write.c).
 *   - One on the stack of a goroutine was scanned at step 1, or is scanned before that goroutine runs again or, while
 *     it is parked, by us (gc_stacks.h). Others may write to a parked stack: tu_set marks what is overwritten there; a
 *     channel overwrites only what its receiver has given up.
 *   - One in an anchor's memory is scanned, or marked when it is taken out or the anchor is removed (tu__gc_taken).
 *   - Roots, pins and foreign stacks were scanned at step 1.
 *   - What is made afterwards is born marked: claimed blocks are marked at step 1 or when they are claimed.
 *
 * Since every running goroutine was scanned before it ran, it knows only what is marked or will be; so nothing that it
 * does with its pointers has to be watched: there is no barrier for what is written, only for what is overwritten.
 *
 * In a minor cycle what is old is marked from the beginning, and not scanned. What it points to is old as well, but for
 * what was written since the last cycle began, of which the cards know (gc_cards.h): that is scanned in step 2.
 *
 * An overflow of the pool (no memory for stacks of marks) only costs time: all marked objects are scanned again.
 *
 * Rejected: shading what is written as well, and scanning running goroutines one by one, as Go does: the first stop
 * would be a little shorter, but a pointer that a goroutine stores into another one's local variable without tu_set,
 * which compiles in C and happens, would then be lost; here it is not.
 */
#include "runtime/gc/collector.h"

#include "platform/clock.h"
#include "runtime/gc/gc_anchor.h"
#include "runtime/gc/gc_cards.h"
#include "runtime/gc/gc_phase.h"
#include "runtime/gc/gc_shadow.h"
#include "runtime/gc/gc_stacks.h"
#include "runtime/gc/gc_weak.h"
#include "runtime/gc/gc_work.h"

/* LAST_NS: how long the program may stand for the last objects, rather than be stopped again; times the stops so far. */
enum { SWEEP_SPANS = 32, LAST_NS = 20000, LAST_OBJECTS = 64 };

static struct cycle cycle;
static bool verified;     /* the present one, from its beginning */
static bool stacks_clean; /* its stacks, too: see gc_verify.c */

struct cycle *tu__gc_cycle(void)
{
    return &cycle;
}

/* ---- stopping ---- */

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

static int64_t stop_world(void)
{
    lock_all();
    int64_t asked_ns = clock_monotonic_ns();
    tu__gc_stop();
    return asked_ns;
}

static void start_world(int64_t asked_ns)
{
    int64_t stood_ns = tu__gc_stood(), ended_ns = tu__gc_go_on();
    unlock_all();
    struct stop_times times = {.pause_ns = ended_ns - asked_ns};
    if (stood_ns > asked_ns)
        times.reach_ns = stood_ns - asked_ns;
    if (cycle.stops < sizeof cycle.each / sizeof cycle.each[0])
        cycle.each[cycle.stops] = times;
    cycle.stops++;
    cycle.pause_ns += times.pause_ns;
    if (times.pause_ns > cycle.longest_pause_ns)
        cycle.longest_pause_ns = times.pause_ns;
}

/* ---- step 1 ---- */

static void mark_claimed(void)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        for (uint32_t word = 0; word < KEYS / 64; word++) {
            uint64_t bits = atomic_load_explicit(&t->active[word], memory_order_relaxed);
            for (; bits; bits &= bits - 1) {
                struct slot *slot = &t->slots[word * 64 + (uint32_t)__builtin_ctzll(bits)];
                slot->began = slot->cur;
                tu__collected_mark_claimed(slot);
            }
        }
}

static void scan_range(const void *start, size_t size, void *stack)
{
    tu__mark_words(stack, start, (const char *)start + size);
}

static void scan_roots(uint32_t number)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (!t->left_out)
            tu__gc_scan_thread(&cycle.stack, t, number);
        else
            t->clean = false;
    tu__gc_roots_each(scan_range, &cycle.stack);
}

static void begin_marking(uint32_t number)
{
    verified = cycle.verify;
    atomic_store_explicit(&tu__gc_threads.clean, verified, memory_order_release);
    int64_t began_ns = stop_world();
    atomic_store_explicit(&tu__gc_threads.clean, false, memory_order_relaxed);
    atomic_store_explicit(&tu__gc_marking, number, memory_order_relaxed);
    tu__collected.marking = true;
    tu__gc_barrier(true);
    cycle.generations = tu__cards_begin(cycle.generations) && cycle.generations;
    mark_claimed();
    scan_roots(number);
    stacks_clean = verified && tu__gc_clean_stacks();
    start_world(began_ns);
}

/* ---- step 3 ---- */

/* Takes what threads have marked, and scans who goes on but has not come to scan itself. */
static void gather(uint32_t number)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next) {
        tu__mark_flush(&t->stack);
        if (!t->left_out)
            tu__gc_scan_unseen(&cycle.stack, t, number);
    }
}

static bool drain_last(void)
{
    int64_t until_ns = clock_monotonic_ns() + (int64_t)LAST_NS * cycle.stops;
    bool ended;
    do
        ended = tu__mark_drain(&cycle.stack, LAST_OBJECTS);
    while (!ended && clock_monotonic_ns() < until_ns);
    return ended;
}

static bool nothing_left(void)
{
    /* A helper may be inside still, with buffers of threads that came after tu__gc_work. */
    return drain_last() && tu__gc_helpers_out() && tu__mark_pool_empty() &&
           atomic_load_explicit(&tu__mark_pool.overflowed, memory_order_relaxed) == 0;
}

/* True if that was the end of it. */
static bool end_marking(uint32_t number)
{
    int64_t began_ns = stop_world();
    gather(number);
    bool ended = nothing_left();
    if (ended) {
        if (cycle.verify || tu__shadow())
            tu__gc_verify_marks();
        if (verified)
            tu__gc_verify_roots(stacks_clean);
        atomic_store_explicit(&tu__gc_marking, 0, memory_order_relaxed);
        tu__gc_barrier(false);
        tu__gc_weak_begin();
    }
    start_world(began_ns);
    return ended;
}

void tu__gc_run_cycle(uint32_t number)
{
    cycle.pause_ns = cycle.longest_pause_ns = 0;
    cycle.stops = 0;
    cycle.stack.scanned_bytes = 0;
    int64_t began_ns = clock_monotonic_ns();
    if (!cycle.minor)
        tu__collected_forget();
    begin_marking(number);
    tu__cards_read(&cycle.stack, cycle.minor);
    tu__gc_scan_parked(&cycle.stack, number);
    tu__gc_anchors_each(scan_range, &cycle.stack);
    tu__gc_weak_scan(&cycle.stack);
    do {
        tu__gc_work(&cycle.stack);
        tu__mark_rescan(&cycle.stack, false);
    } while (!end_marking(number));
    tu__mark_flush(&cycle.stack);
    cycle.used_after_marking =
        atomic_load_explicit(&tu__collected.used_bytes, memory_order_relaxed);
    cycle.mark_ns = clock_monotonic_ns() - began_ns;
    tu__gc_weak_clear();
    tu__pages_expect(cycle.used_after_marking >> PAGE_SHIFT);
    tu__collected_begin_sweep(cycle.generations);
    while (tu__collected_sweep(SWEEP_SPANS)) {
    }
    cycle.sweep_ns = clock_monotonic_ns() - began_ns - cycle.mark_ns;
}

/* ---- around a fork ---- */

void tu__gc_cycle_before_fork(void)
{
    tu__gc_weak_lock();
    lock_all();
}

void tu__gc_cycle_after_fork(bool child)
{
    if (!child) {
        unlock_all();
        tu__gc_weak_unlock();
        return;
    }
    tu__lock_after_fork(&tu__collected.lock);
    tu__gc_anchors_after_fork();
    tu__lock_after_fork(&tu__gc_threads.lock);
    tu__gc_weak_after_fork();
    tu__gc_roots_after_fork();
    tu__gc_threads_forked();
    /* If it was marking, nobody will end that. */
    atomic_store_explicit(&tu__gc_marking, 0, memory_order_relaxed);
    tu__collected.marking = false;
    tu__gc_barrier(false);
}
