/* schedule.c - the scheduler loop, parking and submitting.
 *
 * The fast path never leaves goroutine stacks: who parks picks the next of its own P and switches
 * straight to it (one switch per hop; Go needs two and a search). Every 61st decision, and when the
 * monitor asks for attention, it goes through the M's own loop instead, which looks at timers, and, where
 * 50 us have passed, at the global queue and the poller.
 *
 * Another P is woken, and steals, only where that pays (worth_helping; docs/decisions/0012). Rejected: one
 * shared queue (contention), handing work to other Ps at once (a synchronous hand-over would always move to
 * a cold core), waking a P for each ready goroutine (a system call per channel operation).
 */
#include "runtime/sched/schedule.h"

#include "base/check.h"
#include "base/torture.h"
#include "platform/clock.h"
#include "platform/context_switch.h"
#include "platform/cpu.h"
#include "platform/fault.h"
#include "platform/futex.h"
#include "platform/thread.h"
#include "runtime/gc/gc_phase.h"
#include "runtime/gc/gc_thread.h"
#include "runtime/mem/heap.h"

#include <stdlib.h>
#include <string.h>

/* RING_RESERVE: fresh goroutines that thieves always find in the ring; FRESH_MAX: struct p. */
enum { RING_RESERVE = TU__LIMIT(8, 1) };
enum {
    FAIRNESS_TICKS = TU__LIMIT(61, 7),
    STREAK_MAX = TU__LIMIT(64, 5),
    FREE_G_MAX = TU__LIMIT(64, 2),
    HOT_G = TU__LIMIT(4, 1),
    DEEP_BYTES = 3 * 1024,
    TIMER_TICKS = TU__LIMIT(16, 3),
    POLL_TICKS = 12 * CLOCK_TICKS_4US,    /* about 50 us */
    HELP_TICKS = 12 * CLOCK_TICKS_4US,    /* what waits longer is worth a wake */
    STREAK_TICKS = 250 * CLOCK_TICKS_4US, /* about 1 ms */
    LINGER_TICKS = 5 * CLOCK_TICKS_4US,
    MOVE_TICKS = CLOCK_TICKS_4US / 2, /* what runs shorter is not worth another core's caches */
};

struct sched tu__sched;
__thread struct m *tu__m_tls __attribute__((tls_model("initial-exec"))) = NULL;
void (*tu__cancel_retain)(struct tu__cancel *c);
void (*tu__cancel_release)(struct tu__cancel *c);

#if !defined(__x86_64__) || defined(TU_SIM)
__attribute__((noinline)) struct m *tu__m(void)
{
    __asm__ volatile("");
    return tu__m_tls;
}
#endif

static void machine_main_loop(struct m *m) __attribute__((noreturn));

/* ---- free goroutines ---- */

static void free_g_put(struct p *p, struct g *g)
{
    if (p && p->free_count < FREE_G_MAX) {
        g->run.next = p->free_g;
        p->free_g = &g->run;
        p->free_count++;
        return;
    }
    tu__lock(&tu__sched.lock);
    if (p) { /* half of the local ones go along, so that the next 32 deaths are local */
        for (uint32_t i = 0; i < FREE_G_MAX / 2; i++) {
            struct runnable *r = p->free_g;
            p->free_g = r->next;
            r->next = tu__sched.free_g;
            tu__sched.free_g = r;
        }
        p->free_count -= FREE_G_MAX / 2;
        tu__sched.free_count += FREE_G_MAX / 2;
    }
    g->run.next = tu__sched.free_g;
    tu__sched.free_g = &g->run;
    tu__sched.free_count++;
    tu__unlock(&tu__sched.lock);
}

static struct g *free_g_get(struct p *p)
{
    if (p && !p->free_g && atomic_load_explicit(&tu__sched.free_count, memory_order_relaxed) > 0) {
        tu__lock(&tu__sched.lock);
        while (tu__sched.free_g && p->free_count < FREE_G_MAX / 2) {
            struct runnable *r = tu__sched.free_g;
            tu__sched.free_g = r->next;
            tu__sched.free_count--;
            r->next = p->free_g;
            p->free_g = r;
            p->free_count++;
        }
        tu__unlock(&tu__sched.lock);
    }
    struct runnable *r = NULL;
    if (p && p->free_g) {
        r = p->free_g;
        p->free_g = r->next;
        p->free_count--;
    } else if (!p) {
        tu__lock(&tu__sched.lock);
        r = tu__sched.free_g;
        if (r) {
            tu__sched.free_g = r->next;
            tu__sched.free_count--;
        }
        tu__unlock(&tu__sched.lock);
    }
    return r ? (struct g *)r : goroutine_new();
}

/* Before a P sleeps, and ten times a second at most: pooled goroutines beyond the hottest few keep one
 * page each. A burst of handlers that waited for locks would otherwise hold 40 KiB each for ever. */
static void trim_free_g(struct p *p)
{
    uint64_t now = clock_ticks();
    if (now - p->trimmed_ticks < (uint64_t)25000 * CLOCK_TICKS_4US)
        return;
    p->trimmed_ticks = now;
    uint32_t index = 0;
    for (struct runnable *r = p->free_g; r; r = r->next)
        if (index++ >= HOT_G && ((struct g *)r)->deep)
            goroutine_trim((struct g *)r);
}

/* ---- the global queue ---- */

static void global_put_locked(struct runnable *r)
{
    r->next = NULL;
    if (tu__sched.global_tail)
        tu__sched.global_tail->next = r;
    else
        tu__sched.global_head = r;
    tu__sched.global_tail = r;
    atomic_store_explicit(&tu__sched.global_count,
                          atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static struct runnable *global_get_locked(void)
{
    struct runnable *r = tu__sched.global_head;
    if (r) {
        tu__sched.global_head = r->next;
        if (!r->next)
            tu__sched.global_tail = NULL;
        atomic_store_explicit(&tu__sched.global_count,
                              atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) -
                                  1,
                              memory_order_relaxed);
    }
    return r;
}

/* One to run now; when `batch`, a fair share of the rest goes to p's ring. */
static struct runnable *global_get(struct p *p, bool batch)
{
    if (atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) == 0)
        return NULL;
    tu__lock(&tu__sched.lock);
    struct runnable *first = global_get_locked();
    uint32_t left = atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed);
    uint32_t share = batch ? left / tu__sched.proc_count : 0;
    if (share > RUN_QUEUE_SIZE / 2)
        share = RUN_QUEUE_SIZE / 2;
    for (uint32_t i = 0; i < share; i++) {
        struct runnable *r = global_get_locked();
        if (r->kind == RUNNABLE_GOROUTINE)
            __builtin_prefetch(((struct g *)r)->sp);
        if (!run_queue_put(&p->queue, r)) {
            global_put_locked(r);
            break;
        }
    }
    tu__unlock(&tu__sched.lock);
    return first;
}

static void global_put(struct runnable *r)
{
    tu__lock(&tu__sched.lock);
    global_put_locked(r);
    tu__unlock(&tu__sched.lock);
}

/* Owner: the ring's end; when it is full, half of it moves to the global queue. */
static void ring_put(struct p *p, struct runnable *r)
{
    while (!run_queue_put(&p->queue, r)) {
        struct runnable *half[RUN_QUEUE_SIZE / 2];
        uint32_t n = run_queue_take_half(&p->queue, half);
        if (n == 0)
            continue;
        tu__lock(&tu__sched.lock);
        for (uint32_t i = 0; i < n; i++)
            global_put_locked(half[i]);
        global_put_locked(r);
        tu__unlock(&tu__sched.lock);
        return;
    }
}

/* ---- waking ---- */

static inline uint32_t fresh_count(struct p *p)
{
    return atomic_load_explicit(&p->fresh_count, memory_order_relaxed);
}

static inline void set_fresh_count(struct p *p, uint32_t count)
{
    atomic_store_explicit(&p->fresh_count, count, memory_order_relaxed);
}

static uint32_t random_below(struct m *m, uint32_t n)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(((m->random >> 32) * n) >> 32);
}

/* Whether `waiting` goroutines on p are worth another P's help: by p's own pace they wait longer than a
 * wake costs, and each runs longer than moving it to another core does. Goroutines that hand values to each other
 * every 100 ns are fastest on one core (four producers and four consumers: 31 ns a value on one,
 * 150 ns on two; decision 0012). Who guesses wrong is corrected by the monitor within its period. */
static bool worth_helping(struct p *p, uint32_t waiting)
{
    int64_t pace = atomic_load_explicit(&p->pace_ticks, memory_order_relaxed);
    return pace >= MOVE_TICKS && (int64_t)waiting * pace >= HELP_TICKS;
}

/* Anything that a P should run now: in its own queue (runnext included), in the global one, or in a ring
 * whose owner needs help. */
static bool work_anywhere(struct p *self)
{
    if (atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) > 0)
        return true;
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        struct p *p = &tu__sched.procs[i];
        if (p != self && worth_helping(p, run_queue_length(&p->queue)))
            return true;
    }
    return self && !run_queue_empty(&self->queue);
}

static bool claim_sleeper(void)
{
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        struct p *p = &tu__sched.procs[i];
        if (atomic_load_explicit(&p->asleep, memory_order_relaxed) == 1 &&
            atomic_exchange(&p->asleep, 0) == 1) {
            atomic_fetch_sub(&tu__sched.idle_count, 1);
            poll_wake(&p->poll); /* its M takes over our spinning token */
            return true;
        }
    }
    return false;
}

void tu__wake_one(void)
{
    for (;;) {
        int32_t none = 0;
        if (atomic_load(&tu__sched.idle_count) <= 0 ||
            !atomic_compare_exchange_strong(&tu__sched.spinning, &none, 1) || claim_sleeper())
            return;
        atomic_fetch_sub(&tu__sched.spinning, 1);
        /* A P may have gone to sleep behind our search, and a submitter that saw our token has then
         * woken nobody: what it published is looked for once more. */
        if (!work_anywhere(NULL))
            return;
    }
}

/* After work was published on p, and a full fence. Work that waits in a P's own queue is never lost: the P is
 * awake, and if it sticks in one goroutine the monitor wakes another. So this may guess. */
static void wake_if_useful(struct p *p)
{
    if (atomic_load_explicit(&tu__sched.idle_count, memory_order_relaxed) <= 0 ||
        atomic_load_explicit(&tu__sched.spinning, memory_order_relaxed) != 0)
        return;
    uint32_t waiting = run_queue_length(&p->queue) + fresh_count(p) + 1 +
                       atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed);
    if (worth_helping(p, waiting))
        tu__wake_one();
}

static inline void full_fence_after_rmw(void)
{
#if defined(__x86_64__)
    atomic_signal_fence(memory_order_seq_cst); /* a locked instruction was one already */
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

void tu__submit(struct runnable *r, enum submit_where where)
{
    struct m *m = tu__m();
    struct p *p = m ? tu__enter(m) : NULL;
    if (!p) {
        if (!tu__sched.procs)
            tu__no_scheduler("a goroutine is woken");
        global_put(r);
        atomic_thread_fence(memory_order_seq_cst); /* an unlock is a plain store */
        tu__wake_one();
    } else if (where == SUBMIT_FRONT) {
        struct runnable *kicked =
            atomic_exchange_explicit(&p->queue.runnext, r, memory_order_acq_rel);
        if (kicked) {
            ring_put(p, kicked);
            atomic_thread_fence(memory_order_seq_cst); /* the ring's tail is a plain store */
        }
        full_fence_after_rmw();
        wake_if_useful(p);
    } else {
        ring_put(p, r);
        /* The ring's tail is a plain store: a sleeper that misses it is woken by the monitor, or by
         * the caller, who calls tu__wake_one() after a fence when it has put a batch. */
    }
    if (m)
        tu__exit(m);
}

/* ---- leaving and running goroutines ---- */

static inline void run_after(struct m *m)
{
    void (*after)(void *) = atomic_load_explicit(&m->after, memory_order_relaxed);
    if (after) {
        after(m->after_arg);
        atomic_store_explicit(&m->after, NULL, memory_order_release); /* see deadlock.c */
    }
}

/* Shares the older half of the fresh goroutines when thieves have nothing to take. */
static void share_fresh(struct p *p)
{
    uint32_t count = fresh_count(p), n = count / 2;
    if (n == 0 || run_queue_length(&p->queue) > 0 ||
        atomic_load_explicit(&tu__sched.idle_count, memory_order_relaxed) <= 0 ||
        !worth_helping(p, n))
        return;
    for (uint32_t i = 0; i < n; i++)
        ring_put(p, p->fresh[i]);
    set_fresh_count(p, count - n);
    memmove(p->fresh, p->fresh + n, (count - n) * sizeof p->fresh[0]);
    atomic_thread_fence(memory_order_seq_cst);
    tu__wake_one();
}

/* A goroutine that a newer one has pushed out of runnext. The newest run first, so that a tree of
 * goroutines is walked nearly depth first and fewer are alive at a time (a tree of a million: 80,000
 * and 1.1 s first come first served, 38,000 and 0.4 s this way; decision 0008). Thieves find the
 * oldest in the ring. */
static void put_fresh(struct p *p, struct runnable *r)
{
    if (run_queue_length(&p->queue) < RING_RESERVE) {
        ring_put(p, r);
        return;
    }
    uint32_t count = fresh_count(p);
    if (count == FRESH_MAX) {
        for (uint32_t i = 0; i < FRESH_MAX / 2; i++)
            ring_put(p, p->fresh[i]);
        count -= FRESH_MAX / 2;
        memmove(p->fresh, p->fresh + FRESH_MAX / 2, count * sizeof p->fresh[0]);
    }
    p->fresh[count] = r;
    set_fresh_count(p, count + 1);
}

static inline struct runnable *take_fresh(struct p *p)
{
    uint32_t count = fresh_count(p);
    if (count == 0)
        return NULL;
    set_fresh_count(p, count - 1);
    return p->fresh[count - 1];
}

static inline struct runnable *take_runnext(struct p *p)
{
    struct runnable *r = atomic_load_explicit(&p->queue.runnext, memory_order_relaxed);
    if (r && !atomic_compare_exchange_strong_explicit(&p->queue.runnext, &r, NULL,
                                                      memory_order_acq_rel, memory_order_relaxed))
        r = NULL; /* a thief was faster */
    return r;
}

/* Goroutines that waited long lie in cold memory: fetches the head of the one after the next, and the stack of
 * the next, whose head was fetched a turn ago. A thief may have taken them meanwhile: what is read is only a
 * hint. */
__attribute__((no_sanitize("thread"))) static void warm_up(struct run_queue *q)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    uint32_t left = atomic_load_explicit(&q->tail, memory_order_relaxed) - head;
    if (left < 3 || left > RUN_QUEUE_SIZE)
        return;
    struct runnable *next =
        atomic_load_explicit(&q->ring[head % RUN_QUEUE_SIZE], memory_order_relaxed);
    __builtin_prefetch(
        atomic_load_explicit(&q->ring[(head + 2) % RUN_QUEUE_SIZE], memory_order_relaxed));
    if (next->kind == RUNNABLE_GOROUTINE) {
        const char *sp = ((struct g *)next)->sp;
        __builtin_prefetch(sp);
        __builtin_prefetch(sp + 64);
        __builtin_prefetch(sp + 128);
    }
}

/* A streak of many short runs may go on until it has lasted for as long as the ring may wait. */
static bool still_fresh(struct p *p)
{
    if (clock_ticks() - p->streak_began > STREAK_TICKS)
        return false;
    p->streak = 0;
    return true;
}

/* Beside goroutines that wake each other through runnext nobody gets to the fresh ones, and the ring, from which they
 * would be next, may never be empty: at each of its turns the oldest one joins it. */
static void age_fresh(struct p *p)
{
    uint32_t count = fresh_count(p);
    if (count == 0)
        return;
    struct runnable *oldest = p->fresh[0];
    memmove(p->fresh, p->fresh + 1, (count - 1) * sizeof p->fresh[0]);
    set_fresh_count(p, count - 1);
    ring_put(p, oldest);
}

/* The next of this P: runnext, then the newest fresh one, then the ring; after a streak of the first
 * two the ring has its turn. */
static inline struct runnable *pick_local(struct p *p)
{
    struct runnable *r;
    if (p->streak++ < STREAK_MAX || still_fresh(p)) {
        r = take_runnext(p);
        if (r)
            return r;
        r = take_fresh(p);
        if (r) {
            share_fresh(p);
            return r;
        }
    } else {
        age_fresh(p);
    }
    p->streak = 0;
    p->streak_began = clock_ticks();
    r = run_queue_get(&p->queue);
    if (r)
        warm_up(&p->queue);
    if (!r)
        r = take_fresh(p);
    return r ? r : take_runnext(p);
}

/* The next of this P without looking elsewhere; NULL: ask the loop. */
static struct runnable *pick_fast(struct p *p)
{
    uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed) + 1;
    atomic_store_explicit(&p->tick, tick, memory_order_relaxed);
    if (TU__MIGRATE || tick % FAIRNESS_TICKS == 0 ||
        atomic_load_explicit(&p->attention, memory_order_relaxed) != 0)
        return NULL;
    if (tick % TIMER_TICKS == 0 &&
        atomic_load_explicit(&p->timers.next_ns, memory_order_relaxed) != INT64_MAX)
        return NULL;
    return pick_local(p);
}

static void goroutine_main(void);

/* A task needs a stack: a pooled one. NULL when there is no memory; the task is then queued again. */
static struct g *bind_task(struct p *p, struct task *task)
{
    struct g *g = free_g_get(p);
    if (!g) {
        global_put(&task->run);
        return NULL;
    }
    g->task = task;
    g->deep = true; /* handlers keep buffers on the stack */
    goroutine_prepare(g, goroutine_main);
    return g;
}

static struct g *goroutine_to_run(struct p *p, struct runnable *r)
{
    return r->kind == RUNNABLE_GOROUTINE ? (struct g *)r : bind_task(p, (struct task *)r);
}

static inline void note_run(struct m *m, struct g *g)
{
#if TU__MIGRATE
    g->ran_on = m;
    g->refused_ns = 0;
#endif
}

/* A pinned goroutine runs on its own thread only: the loop will hand it this P. */
static inline struct g *switch_target(struct m *m, struct g *g)
{
    if (g && __builtin_expect(g->pinned_to != NULL, 0)) {
        m->handing = g;
        return NULL;
    }
    return g;
}

void tu__leave(void (*after)(void *arg), void *arg, enum tu__wait why)
{
    struct m *m = tu__m();
    struct g *g = m->g;
#ifdef TU_DEBUG
    tu_check(g->nopark == 0, "a goroutine parks between tu_nopark_begin and tu_nopark_end");
#endif
    tu_check(atomic_load_explicit(&m->blocking, memory_order_relaxed) == 0,
             "a goroutine parks between tu_blocking_begin and tu_blocking_end");
    struct p *p = tu__enter(m);
    tu_assert(atomic_load_explicit(&m->in_runtime, memory_order_relaxed) == 1);
    m->after_arg = arg;
    atomic_store_explicit(&m->after, after, memory_order_relaxed);
    /* release: who sees that it waits sees that it has not parked yet */
    atomic_store_explicit(&g->wait,
                          atomic_load_explicit(&tu__sched.coarse, memory_order_relaxed) | why,
                          memory_order_release);
    note_run(m, g);
    g->deep |= (size_t)((char *)g - (char *)__builtin_frame_address(0)) > DEEP_BYTES;
    struct runnable *r = NULL;
    if (g->pinned_to)
        atomic_store_explicit(&m->wake, 0,
                              memory_order_relaxed); /* before `after` lets others find g */
    else if (p)
        r = pick_fast(p);
    struct g *next = switch_target(m, r ? goroutine_to_run(p, r) : NULL);
    m->g = next;
    fiber_leave(&g->fiber, next ? &next->fiber : &m->fiber, false);
    context_switch(&g->sp, next ? next->sp : m->loop_sp);
    bool unseen = tu__gc_unseen(g);
    fiber_arrive(&g->fiber);
    m = tu__m(); /* perhaps another thread */
    run_after(m);
    atomic_store_explicit(&g->wait, TU__WAIT_NONE, memory_order_relaxed);
    if (__builtin_expect(unseen, 0))
        tu__gc_scan_self(g);
    tu__exit(m);
}

static void unpin(struct m *m, struct g *g)
{
    g->pins = 0;
    g->pinned_to = NULL;
    m->pinned = NULL;
}

static void call_entry(struct g *g)
{
    void (*entry)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t) =
        (void (*)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t))g->entry;
    uintptr_t w[6];
    memcpy(w, g->words, sizeof w);
    memset(g->words, 0, sizeof w); /* or what they point to would live as long as the goroutine */
    entry(w[0], w[1], w[2], w[3], w[4], w[5]);
}

static void bury(void *arg)
{
    free_g_put(tu__m()->p, arg);
}

static inline void count_up(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* Runs what g carries: a goroutine's entry or a task. */
static void run_body(struct g *g)
{
    struct task *task = g->task;
    if (task) {
        g->task = NULL;
        task->call(task);
        g->cancel = NULL;
        return;
    }
    call_entry(g);
    g->alive = false;
    if (g->inherited && tu__cancel_release)
        tu__cancel_release(g->inherited);
    g->inherited = g->cancel = NULL;
    struct m *m = tu__m();
    struct p *p = tu__enter(m);
    if (p)
        count_up(&p->finished);
    else
        atomic_fetch_add_explicit(&tu__sched.foreign_finished, 1, memory_order_relaxed);
    tu__exit(m);
}

/* The first frame of every goroutine. A finished one whose successor is a task runs it on the same
 * stack, without a switch. */
static void goroutine_main(void)
{
    struct m *m = tu__m();
    struct g *g = m->g;
    bool unseen = tu__gc_unseen(g);
    fiber_arrive(&g->fiber);
    run_after(m);
    if (unseen)
        tu__gc_scan_self(g);
    for (;;) {
        tu__exit(m);
        run_body(g);
        m = tu__m();
        struct p *p = tu__enter(m);
        if (__builtin_expect(g->pinned_to != NULL, 0))
            unpin(m, g);
        struct runnable *r = p ? pick_fast(p) : NULL;
        if (r && r->kind == RUNNABLE_TASK) {
            g->task = (struct task *)r;
            continue;
        }
        struct g *next = switch_target(m, (struct g *)r);
        atomic_store_explicit(&m->after, bury, memory_order_relaxed);
        m->after_arg = g;
        m->g = next;
        fiber_leave(&g->fiber, next ? &next->fiber : &m->fiber, true);
        context_switch(&g->sp, next ? next->sp : m->loop_sp);
        __builtin_unreachable();
    }
}

/* ---- finding work ---- */

static void stop_spinning(struct m *m)
{
    if (!m->spinning)
        return;
    m->spinning = false;
    int32_t before = atomic_fetch_sub(&tu__sched.spinning, 1);
    /* The submitters of what else there is relied on us: the last spinner wakes the next one. */
    if (before == 1 && work_anywhere(NULL))
        tu__wake_one();
}

/* True if `victim` sticks in one goroutine: it makes no decision for about 4 us, while ready work usually
 * runs within 50 ns where it is. So hand-over pairs are not torn apart. Once found out, it is known until
 * the victim's next decision: who starts goroutines in a loop is robbed of each without delay. */
static bool stuck(struct p *victim)
{
    uint32_t tick = atomic_load_explicit(&victim->tick, memory_order_relaxed);
    if (atomic_load_explicit(&victim->stuck_tick, memory_order_relaxed) == tick)
        return true;
    for (uint64_t began = clock_ticks(); clock_ticks() - began < CLOCK_TICKS_4US;)
        cpu_pause();
    if (atomic_load_explicit(&victim->tick, memory_order_relaxed) != tick)
        return false;
    atomic_store_explicit(&victim->stuck_tick, tick, memory_order_relaxed);
    return true;
}

static struct runnable *steal(struct m *m, struct p *p)
{
    uint32_t n = tu__sched.proc_count, start = random_below(m, n);
    for (uint32_t i = 0; i < n; i++) {
        struct p *victim = &tu__sched.procs[(start + i) % n];
        if (victim == p || !worth_helping(victim, run_queue_length(&victim->queue)))
            continue;
        struct runnable *r = run_queue_steal(&p->queue, &victim->queue, false);
        if (r)
            return r;
    }
    if (tu__timers_steal(p)) {
        struct runnable *r = pick_local(p);
        if (r)
            return r;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct p *victim = &tu__sched.procs[(start + i) % n];
        if (victim == p || run_queue_empty(&victim->queue) || !stuck(victim))
            continue;
        struct runnable *r = run_queue_steal(&p->queue, &victim->queue, true);
        if (r)
            return r;
    }
    return NULL;
}

/* How long one run takes here, smoothed: by decision, since the P last began to work. */
static void measure_pace(struct p *p)
{
    uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed),
             runs = tick - p->pace_tick;
    if (runs == 0)
        return;
    uint64_t now = clock_ticks();
    int64_t pace = atomic_load_explicit(&p->pace_ticks, memory_order_relaxed);
    int64_t measured = (int64_t)((now - p->pace_began) / runs);
    atomic_store_explicit(&p->pace_ticks, pace + (measured - pace) / 4, memory_order_relaxed);
    p->pace_began = now;
    p->pace_tick = tick;
}

/* What went by since the last measurement was not work. */
static void restart_pace(struct p *p)
{
    p->pace_began = clock_ticks();
    p->pace_tick = atomic_load_explicit(&p->tick, memory_order_relaxed);
}

/* Queues what the poller reported, and lets another P help when it is much: when what waits here
 * would take longer than TU__HELP_TICKS at this P's pace. A wake costs two context switches and, on a
 * machine whose cores are busy, takes one of them from somebody else; below that the requests are
 * served cheaper where they are (docs/decisions/0007). */
static void dispatch_events(struct m *m, struct p *p, int n)
{
    for (int i = 0; i < n; i++)
        tu__pollable_event(m->events[i].data, m->events[i].events);
    restart_pace(p);
    p->polled_ticks = p->pace_began;
    int64_t pace = atomic_load_explicit(&p->pace_ticks, memory_order_relaxed);
    if (n > 1 && (int64_t)run_queue_length(&p->queue) * pace > TU__HELP_TICKS) {
        atomic_thread_fence(memory_order_seq_cst);
        tu__wake_one();
    }
}

/* A P that always has something to run looks at its descriptors now and then, by time and not by
 * decisions: a hand-over takes 50 ns, the system call some hundred (2 us on virtual machines, where a
 * look every 61 decisions was a quarter of a ping-pong). */
static void poll_if_due(struct m *m, struct p *p)
{
    if (atomic_load_explicit(&p->conns, memory_order_relaxed) == 0 ||
        clock_ticks() - p->polled_ticks < POLL_TICKS)
        return;
    dispatch_events(m, p, poll_wait(&p->poll, m->events, POLL_EVENTS_MAX, 0, NULL));
}

/* Sleeps in the P's poller until an event, a timer, or a wake. */
static void sleep_in_poller(struct m *m, struct p *p)
{
    trim_free_g(p);
    atomic_store(&p->asleep, 1);
    atomic_fetch_add(&tu__sched.idle_count, 1);
    if (m->spinning) {
        m->spinning = false;
        atomic_fetch_sub(&tu__sched.spinning, 1);
    }
    full_fence_after_rmw();
    int64_t timeout = -1;
    if (work_anywhere(p)) {
        timeout = 0;
    } else {
        int64_t next = tu__timers_wait(p);
        if (next != INT64_MAX) {
            timeout = next - clock_monotonic_ns();
            timeout = timeout < 0 ? 0 : timeout;
        }
    }
    tu__mem_leave();
    tu__gc_quiet_begin();
    int n = poll_wait(&p->poll, m->events, POLL_EVENTS_MAX, timeout, NULL);
    tu__gc_quiet_end();
    tu__mem_return();
    bool was_full = false;
    if (atomic_exchange(&p->asleep, 0) == 1) {
        was_full = atomic_fetch_sub(&tu__sched.idle_count, 1) == (int32_t)tu__sched.proc_count;
    } else {
        m->spinning = true; /* claimed: the waker counted us as a spinner */
        was_full = true;
    }
    if (was_full && atomic_load(&tu__sched.monitor_asleep)) {
        tu__publish_now(clock_monotonic_ns()); /* the monitor's is old */
        atomic_store(&tu__sched.monitor_asleep, 0);
        futex_wake(&tu__sched.monitor_asleep, 1);
    }
    dispatch_events(m, p, n);
}

#if TU__MIGRATE
/* Torture builds: true if r was sent to another thread, because this one ran it last. Not for ever: the others
 * may be busy. */
static bool sent_on(struct m *m, struct runnable *r)
{
    enum { PATIENCE_NS = 20000000 };
    struct g *g = (struct g *)r;
    if (r->kind != RUNNABLE_GOROUTINE || g->ran_on != m || g->pinned_to ||
        tu__sched.proc_count == 1)
        return false;
    int64_t now_ns = clock_monotonic_ns();
    if (g->refused_ns == 0)
        g->refused_ns = now_ns;
    if (now_ns - g->refused_ns > PATIENCE_NS)
        return false;
    stop_spinning(m);
    global_put(r);
    atomic_thread_fence(memory_order_seq_cst);
    tu__wake_one();
    thread_yield();
    return true;
}
#else
static inline bool sent_on(struct m *m, struct runnable *r)
{
    return false;
}
#endif

/* What waits in the global queue gets a turn in between, by time: it is old work, and starting old subtrees while
 * newer ones are half done only makes more goroutines alive at a time. */
static struct runnable *global_if_due(struct p *p)
{
    if (atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) == 0 ||
        clock_ticks() - p->global_ticks < POLL_TICKS)
        return NULL;
    p->global_ticks = clock_ticks();
    return global_get(p, false);
}

static struct runnable *find_runnable(struct m *m)
{
    struct p *p = m->p;
    measure_pace(p);
    for (;;) {
        uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed) + 1;
        atomic_store_explicit(&p->tick, tick, memory_order_relaxed);
        bool asked = atomic_load_explicit(&p->attention, memory_order_relaxed) != 0;
        atomic_store_explicit(&p->attention, 0, memory_order_relaxed);
        if (atomic_load_explicit(&p->timers.next_ns, memory_order_relaxed) != INT64_MAX)
            (void)tu__timers_run(p, clock_monotonic_ns());
        struct runnable *r = NULL;
        if (asked || tick % FAIRNESS_TICKS <= 1) {
            poll_if_due(m, p);
            r = global_if_due(p);
        }
        if (!r)
            r = pick_local(p);
        if (!r)
            r = global_get(p, true);
        if (!r) {
            int32_t busy = (int32_t)tu__sched.proc_count -
                           atomic_load_explicit(&tu__sched.idle_count, memory_order_relaxed);
            if (!m->spinning &&
                2 * atomic_load_explicit(&tu__sched.spinning, memory_order_relaxed) < busy) {
                m->spinning = true;
                atomic_fetch_add(&tu__sched.spinning, 1);
            }
            if (m->spinning) {
                r = steal(m, p);
                restart_pace(p);
                if (r)
                    p->stole_ticks = p->pace_began;
            }
        }
        if (r && sent_on(m, r))
            continue;
        if (r) {
            stop_spinning(m);
            return r;
        }
        /* Where there was something to take a moment ago there will be more: going to sleep and being woken costs
         * both sides a system call. */
        if (m->spinning && clock_ticks() - p->stole_ticks < LINGER_TICKS)
            cpu_pause();
        else
            sleep_in_poller(m, p);
    }
}

/* ---- machines ---- */

void tu__enter_slow(struct m *m)
{
    uint32_t asked = LOST_ASKED;
    if (atomic_compare_exchange_strong(&m->lost, &asked, LOST_NO))
        return;
    if (asked == LOST_TAKEN) {
        m->p = NULL;
        atomic_store(&m->lost, LOST_NO);
    } else if (asked == LOST_FORKED) {
        tu__no_scheduler("a goroutine starts, waits, wakes or returns");
    }
}

/* Waits until somebody hands this M a P. */
static void machine_idle(struct m *m)
{
    atomic_store(&m->wake, 0);
    tu__lock(&tu__sched.lock);
    m->idle_next = tu__sched.idle_ms;
    tu__sched.idle_ms = m;
    tu__unlock(&tu__sched.lock);
    tu__mem_leave();
    tu__gc_quiet_begin();
    while (atomic_load_explicit(&m->wake, memory_order_acquire) == 0)
        (void)futex_wait(&m->wake, 0, -1);
    tu__gc_quiet_end();
    tu__mem_return();
    m->p = m->next_p;
}

/* Gives this M's P to the thread to which g is pinned, and which does nothing but wait for that. */
static void hand_over(struct m *m, struct g *g)
{
    struct m *to = g->pinned_to;
    struct p *p = m->p;
    m->p = NULL;
    to->next_p = p;
    /* release, both: `to` and the monitor see the P as we left it */
    atomic_store_explicit(&p->m, to, memory_order_release);
    atomic_store_explicit(&to->wake, 1, memory_order_release);
    futex_wake(&to->wake, 1);
}

/* The goroutine that is pinned here has parked: its P goes to another M until somebody hands one back
 * together with the goroutine. */
static struct g *wait_for_pinned(struct m *m)
{
    struct p *p = m->p;
    m->p = NULL;
    if (p)
        tu__give_away(p);
    tu__mem_leave();
    tu__gc_quiet_begin();
    while (atomic_load_explicit(&m->wake, memory_order_acquire) == 0)
        (void)futex_wait(&m->wake, 0, -1);
    tu__gc_quiet_end();
    tu__mem_return();
    m->p = m->next_p;
    return m->pinned;
}

static struct g *next_to_run(struct m *m)
{
    if (m->pinned)
        return wait_for_pinned(m);
    struct g *g = m->handing;
    m->handing = NULL;
    if (!g) {
        if (!m->p)
            machine_idle(m);
        g = goroutine_to_run(m->p, find_runnable(m));
        if (!g) {
            thread_sleep_ns(1000000); /* no memory for a stack: let some goroutine finish */
            return NULL;
        }
    }
    if (g->pinned_to) {
        hand_over(m, g);
        return NULL;
    }
    return g;
}

static void machine_main_loop(struct m *m)
{
    for (;;) {
        run_after(m);
        struct g *g = next_to_run(m);
        if (!g)
            continue;
        m->g = g;
        fiber_leave(&m->fiber, &g->fiber, false);
        context_switch(&m->loop_sp, g->sp);
        fiber_arrive(&m->fiber);
    }
}

static void *machine_start(void *arg)
{
    struct m *m = arg;
    void *low;
    size_t size;
    thread_stack(&low, &size);
    fiber_init_thread(&m->fiber, low, size);
    fault_thread_init();
    tu__m_tls = m;
    tu__gc_thread_start(m->gc_record);
    m->thread_id = thread_id();
    m->random = (uint64_t)clock_ticks() * 2654435761u | 1;
    m->p = m->next_p;
    machine_main_loop(m);
}

int tu__start_machine(struct p *p)
{
    tu__lock(&tu__sched.lock);
    struct m *m = tu__sched.idle_ms;
    if (m)
        tu__sched.idle_ms = m->idle_next;
    tu__unlock(&tu__sched.lock);
    if (m) {
        /* From here on the P is this M's, although its thread may take a while to notice: it counts
         * as inside the runtime, so the monitor leaves it alone. */
        m->next_p = p;
        atomic_store_explicit(&p->m, m, memory_order_release);
        atomic_store_explicit(&m->wake, 1, memory_order_release);
        futex_wake(&m->wake, 1);
        return 0;
    }
    m = aligned_alloc(64, (sizeof *m + 63) & ~(size_t)63);
    if (!m)
        return -ENOMEM;
    memset(m, 0, sizeof *m);
    m->gc_record = tu__gc_thread_reserve();
    if (!m->gc_record) {
        free(m);
        return -ENOMEM;
    }
    m->next_p = p;
    atomic_store(&m->in_runtime, 1);
    atomic_store_explicit(&p->m, m, memory_order_release);
    int rc = thread_start(machine_start, m, 256 << 10, "tuco");
    if (rc < 0) {
        atomic_store_explicit(&p->m, NULL, memory_order_relaxed);
        tu__gc_thread_unreserve(m->gc_record);
        free(m);
        return rc;
    }
    m->all_next = atomic_load_explicit(&tu__sched.all_ms, memory_order_relaxed);
    /* release: pairs with the acquire of whoever walks the list */
    while (!atomic_compare_exchange_weak_explicit(&tu__sched.all_ms, &m->all_next, m,
                                                  memory_order_release, memory_order_relaxed)) {
    }
    return 0;
}

/* ---- for dumps ---- */

static void mark(const struct runnable *r, uint64_t value)
{
    struct g *g = r ? goroutine_at(r) : NULL; /* a stale pointer, or a task: not one */
    if (g)
        g->queued = value;
}

TU__RACY void tu__mark_queued(uint64_t value)
{
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        struct p *p = &tu__sched.procs[i];
        mark(atomic_load_explicit(&p->queue.runnext, memory_order_relaxed), value);
        uint32_t at = atomic_load_explicit(&p->queue.head, memory_order_acquire);
        for (uint32_t n = run_queue_length(&p->queue); n > 0; n--, at++)
            mark(atomic_load_explicit(&p->queue.ring[at % RUN_QUEUE_SIZE], memory_order_relaxed),
                 value);
        for (uint32_t k = 0, n = fresh_count(p); k < n && k < FRESH_MAX; k++)
            mark(p->fresh[k], value);
    }
    /* Whoever dumps may have failed while holding the lock: then this queue is left out. */
    for (int tries = 0; !tu__trylock(&tu__sched.lock); tries++) {
        if (tries == 1000)
            return;
        thread_yield();
    }
    for (struct runnable *r = tu__sched.global_head; r; r = r->next)
        mark(r, value);
    tu__unlock(&tu__sched.lock);
}

/* ---- public ---- */

/* A new goroutine becomes runnext of the P it was started on. */
static inline void start_on(struct p *p, struct runnable *r)
{
    struct runnable *kicked = atomic_exchange_explicit(&p->queue.runnext, r, memory_order_acq_rel);
    if (kicked) {
        put_fresh(p, kicked);
        atomic_thread_fence(memory_order_seq_cst); /* the ring's tail is a plain store */
    }
    full_fence_after_rmw();
    wake_if_useful(p);
}

static inline __attribute__((always_inline)) int
start_goroutine(void (*entry)(void), unsigned count, const uintptr_t *words,
                const struct tu_site *site, const char *name)
{
    struct m *m = tu__m();
    struct p *p = m ? tu__enter(m) : NULL;
    if (!p && !tu__sched.procs)
        tu__no_scheduler("tu_go");
    struct g *g = free_g_get(p);
    if (g) {
        g->entry = entry;
        g->site = site;
        g->name[0] = 0;
        if (name)
            goroutine_set_name(g, name);
        for (unsigned i = 0; i < count && i < 6; i++)
            g->words[i] = words[i];
        g->inherited = g->cancel = tu__cancel_current();
        if (g->cancel && tu__cancel_retain)
            tu__cancel_retain(g->cancel);
        tu__gc_born(g);
        goroutine_prepare(g, goroutine_main);
        g->alive = true; /* from here on the collector reads its stack */
        if (p) {
            count_up(&p->started);
            g->id = atomic_load_explicit(&p->started, memory_order_relaxed) *
                        (tu__sched.proc_count + 1) +
                    p->index;
        } else {
            g->id = atomic_fetch_add_explicit(&tu__sched.foreign_started, 1, memory_order_relaxed) *
                        (tu__sched.proc_count + 1) +
                    tu__sched.proc_count;
        }
        if (p)
            start_on(p, &g->run);
        else
            tu__submit(&g->run, SUBMIT_FRONT);
    }
    if (m)
        tu__exit(m);
    return g ? 0 : -ENOMEM;
}

int tu_go_words(void (*entry)(void), unsigned count, const uintptr_t *words,
                const struct tu_site *site)
{
    return start_goroutine(entry, count, words, site, NULL);
}

int tu__go_words_named(const char *name, void (*entry)(void), unsigned count,
                       const uintptr_t *words, const struct tu_site *site)
{
    return start_goroutine(entry, count, words, site, name);
}

static void resubmit(void *arg)
{
    struct p *p = tu__m()->p;
    if (p)
        ring_put(p, arg);
    else
        tu__submit(arg, SUBMIT_BACK);
}

void tu_yield(void)
{
    struct m *m = tu__m();
    if (!m || !m->g) {
        thread_yield();
        return;
    }
    struct p *p = tu__enter(m);
    uint32_t tick = p ? atomic_load_explicit(&p->tick, memory_order_relaxed) + 1 : 0;
    bool alone = !TU__MIGRATE && p && tick % FAIRNESS_TICKS != 0 && run_queue_empty(&p->queue) &&
                 fresh_count(p) == 0 &&
                 atomic_load_explicit(&tu__sched.global_count, memory_order_relaxed) == 0 &&
                 !atomic_load_explicit(&p->attention, memory_order_relaxed) &&
                 atomic_load_explicit(&p->timers.next_ns, memory_order_relaxed) == INT64_MAX;
    if (alone)
        atomic_store_explicit(&p->tick, tick, memory_order_relaxed);
    tu__exit(m);
    if (!alone)
        tu__leave(resubmit, &m->g->run, TU__WAIT_NONE);
}

void tu_pin(void)
{
    struct m *m = tu__m();
    if (!m || !m->g)
        return;
    (void)tu__enter(m);
    m->g->pins++;
    m->g->pinned_to = m;
    m->pinned = m->g;
    tu__exit(m);
}

void tu_unpin(void)
{
    struct m *m = tu__m();
    if (!m || !m->g)
        return;
    (void)tu__enter(m);
    tu_check(m->g->pins > 0, "tu_unpin without tu_pin");
    if (--m->g->pins == 0)
        unpin(m, m->g);
    tu__exit(m);
}
