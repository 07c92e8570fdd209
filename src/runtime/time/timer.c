/* timer.c - see timer.h. The heap holds pointers; each timer knows its index, so stopping removes it
 * at once and the heap never holds dead entries.
 *
 *   state = ARMED + RUNNER * threads that are inside its fire
 *   start, under the heap's lock: + ARMED         disarm, under it: - ARMED
 *   due, under it: - ARMED + RUNNER               fire has returned: - RUNNER
 *   A fire that starts its timer again may be run a second time before the first has returned. Whoever
 *   stops a timer to free it waits until there is no runner: that subtraction is a runner's last touch.
 *
 * Who fires. A P looks at its own timers between goroutines. One goroutine may keep it from that, so others look,
 * too: a P that finds nothing to do fires what is LATE on Ps that are awake (tu__timers_steal); one sleeping P,
 * the watcher, wakes up for that (tu__timers_wait); and the monitor, which sees the first timer that
 * is armed after the watcher has gone to sleep, wakes a P or, when none sleeps, fires itself. Timers
 * of a sleeping P are left to its own wake.
 * Rejected: to wake the watcher when a goroutine arms a timer, as Go does. It would be a system call for each,
 * while the goroutine nearly always parks soon after, and its P fires in time.
 */
#include "runtime/time/timer.h"

#include "base/check.h"
#include "base/torture.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/thread.h"
#include "runtime/sched/schedule.h"

#include <tuco/go.h>
#include <tuco/mem.h>

#include <string.h>

enum { ARMED = 1, RUNNER = 2 };
enum { CAPACITY_MAX = TU__LIMIT(1 << 30, 8) }; /* torture: memory ends here */
#define SPILLED UINT32_MAX                     /* an index */
/* A P that works through short goroutines looks at its timers more often than LATE; the watcher
 * gives it WATCH, so that it does not wake for nothing. */
enum { LATE_NS = 50000, WATCH_NS = 200000 };

static void place(struct timer_heap *h, uint32_t index, struct tu__timer *t)
{
    h->items[index] = t;
    t->index = index;
}

static void sift_up(struct timer_heap *h, uint32_t i, struct tu__timer *t)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / 4;
        if (h->items[parent]->when_ns <= t->when_ns)
            break;
        place(h, i, h->items[parent]);
        i = parent;
    }
    place(h, i, t);
}

static void sift_down(struct timer_heap *h, uint32_t i, struct tu__timer *t)
{
    for (;;) {
        uint32_t first = 4 * i + 1, least = first;
        if (first >= h->count)
            break;
        for (uint32_t c = first + 1; c < first + 4 && c < h->count; c++)
            if (h->items[c]->when_ns < h->items[least]->when_ns)
                least = c;
        if (h->items[least]->when_ns >= t->when_ns)
            break;
        place(h, i, h->items[least]);
        i = least;
    }
    place(h, i, t);
}

static void publish_next(struct timer_heap *h)
{
    atomic_store_explicit(&h->next_ns, h->count ? h->items[0]->when_ns : INT64_MAX,
                          memory_order_relaxed);
}

/* ---- what does not fit; slow, but nothing is lost for want of memory ---- */

static void spill(struct timer_heap *h, struct tu__timer *t)
{
    t->index = SPILLED;
    t->next = h->spilled;
    h->spilled = t;
}

static void unspill(struct timer_heap *h, struct tu__timer *t)
{
    struct tu__timer **link = &h->spilled;
    while (*link != t) {
        tu_check(*link, "a timer that is not among the spilled is removed");
        link = &(*link)->next;
    }
    *link = t->next;
}

static struct tu__timer *first_spilled(const struct timer_heap *h)
{
    struct tu__timer *first = h->spilled;
    for (struct tu__timer *t = first; t; t = t->next)
        if (t->when_ns < first->when_ns)
            first = t;
    return first;
}

/* The heap is full: `t`, or the last of those in the heap, which then makes room for it. */
static struct tu__timer *last_of_all(const struct timer_heap *h, struct tu__timer *t)
{
    struct tu__timer *last = t;
    for (uint32_t i = 0; i < h->count; i++)
        if (h->items[i]->when_ns > last->when_ns)
            last = h->items[i];
    return last;
}

/* ---- the heap ---- */

static bool grow(struct timer_heap *h)
{
    if (!h->items) {
        h->items = h->first;
        h->capacity = TIMERS_FIRST;
        return true;
    }
    if (h->capacity >= CAPACITY_MAX)
        return false;
    uint32_t capacity = h->capacity * 4;
    bool moves_out = h->items == h->first;
    struct tu__timer **items = tu_realloc(moves_out ? NULL : h->items, capacity * sizeof *items);
    if (!items)
        return false;
    if (moves_out)
        memcpy(items, h->first, sizeof h->first);
    h->items = items;
    h->capacity = capacity;
    return true;
}

static void heap_take_out(struct timer_heap *h, struct tu__timer *t)
{
    uint32_t i = t->index;
    tu_check(i < h->count && h->items[i] == t, "a timer that is not in its heap is removed");
    struct tu__timer *last = h->items[--h->count];
    if (last != t) {
        if (i > 0 && h->items[(i - 1) / 4]->when_ns > last->when_ns)
            sift_up(h, i, last);
        else
            sift_down(h, i, last);
    }
}

static void heap_put(struct timer_heap *h, struct tu__timer *t)
{
    h->count++;
    sift_up(h, h->count - 1, t);
}

/* Keeps: no spilled one is due before one in the heap, which is full while there are any. */
static void heap_add(struct timer_heap *h, struct tu__timer *t)
{
    if (h->count < h->capacity || grow(h)) {
        heap_put(h, t);
    } else {
        struct tu__timer *last = last_of_all(h, t);
        if (last != t) {
            heap_take_out(h, last);
            heap_put(h, t);
        }
        spill(h, last);
    }
    publish_next(h);
}

static void heap_remove(struct timer_heap *h, struct tu__timer *t)
{
    if (t->index == SPILLED) {
        unspill(h, t);
        return;
    }
    heap_take_out(h, t);
    if (h->spilled) {
        struct tu__timer *first = first_spilled(h);
        unspill(h, first);
        heap_put(h, first);
    }
    publish_next(h);
}

void tu__timer_start(struct tu__timer *t, int64_t when_ns, void (*fire)(struct tu__timer *, void *),
                     void *arg)
{
    struct m *m = tu__m();
    struct p *own = m ? tu__enter(m) : NULL;
    struct p *p = own ? own : &tu__sched.procs[0];
    if (!p)
        tu__no_scheduler("a timer is started");
    tu__lock(&p->timers.lock);
    uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
    tu_check(!(state & ARMED), "a timer that is armed is started again");
    t->fire = fire;
    t->arg = arg;
    t->when_ns = when_ns;
    t->p = p;
    if (state == 0) /* nobody else can change it */
        atomic_store_explicit(&t->state, ARMED, memory_order_relaxed);
    else
        atomic_fetch_add_explicit(&t->state, ARMED, memory_order_relaxed);
    heap_add(&p->timers, t);
    bool first = p->timers.items[0] == t;
    tu__unlock(&p->timers.lock);
    if (!own && first)
        poll_wake(&p->poll); /* its M may sleep until a later deadline */
    if (m)
        tu__exit(m);
}

bool tu__timer_disarm(struct tu__timer *t)
{
    struct p *p = t->p;
    /* acquire: pairs with the release in tu__timers_run, which has read what the caller may now write */
    if (!p || !(atomic_load_explicit(&t->state, memory_order_acquire) & ARMED))
        return false;
    tu__lock(&p->timers.lock);
    uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
    if (state & ARMED) {
        heap_remove(&p->timers, t);
        if (state == ARMED) /* nobody else can change it */
            atomic_store_explicit(&t->state, 0, memory_order_relaxed);
        else
            atomic_fetch_sub_explicit(&t->state, ARMED, memory_order_relaxed);
    }
    tu__unlock(&p->timers.lock);
    return (state & ARMED) != 0;
}

bool tu__timer_stop(struct tu__timer *t)
{
    bool armed = tu__timer_disarm(t);
    /* acquire: pairs with the runner's release after fire returned */
    for (int i = 0; atomic_load_explicit(&t->state, memory_order_acquire) >= RUNNER; i++) {
        if (i < 100)
            cpu_pause();
        else
            thread_yield();
    }
    return armed;
}

static inline int64_t next_of(const struct p *p)
{
    return atomic_load_explicit(&p->timers.next_ns, memory_order_relaxed);
}

int64_t tu__timers_run(struct p *p, int64_t now_ns)
{
    struct timer_heap *h = &p->timers;
    while (next_of(p) <= now_ns) {
        tu__lock(&h->lock);
        struct tu__timer *t = h->count && h->items[0]->when_ns <= now_ns ? h->items[0] : NULL;
        if (!t) {
            tu__unlock(&h->lock);
            break;
        }
        heap_remove(h, t);
        void (*fire)(struct tu__timer *, void *) = t->fire;
        void *arg = t->arg;
        /* release: pairs with the acquire in tu__timer_disarm; from here on the timer may be armed again, with another
         * fire, under another P's lock */
        atomic_fetch_add_explicit(&t->state, RUNNER - ARMED, memory_order_release);
        tu__unlock(&h->lock);
        fire(t, arg);
        /* release: pairs with the acquire in tu__timer_stop */
        atomic_fetch_sub_explicit(&t->state, RUNNER, memory_order_release);
    }
    return next_of(p);
}

/* Whether p's own M is there to fire its timers. */
static inline bool sleeps(const struct p *p)
{
    return atomic_load_explicit(&p->asleep, memory_order_relaxed) != 0;
}

bool tu__timers_steal(struct p *self)
{
    int64_t now_ns = 0;
    bool fired = false;
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        struct p *p = &tu__sched.procs[i];
        if (p == self || next_of(p) == INT64_MAX || sleeps(p))
            continue;
        if (now_ns == 0)
            now_ns = clock_monotonic_ns();
        if (next_of(p) > now_ns - LATE_NS)
            continue;
        (void)tu__timers_run(p, now_ns);
        fired = true;
    }
    return fired;
}

int64_t tu__timers_wait(struct p *self)
{
    static _Atomic uint32_t watcher; /* a P's index + 1; 0 in the beginning */
    int64_t wake_ns = next_of(self);
    uint32_t holder = atomic_load_explicit(&watcher, memory_order_relaxed);
    if (holder != self->index + 1) {
        if (holder != 0 && sleeps(&tu__sched.procs[holder - 1]))
            return wake_ns;
        if (!atomic_compare_exchange_strong_explicit(&watcher, &holder, self->index + 1,
                                                     memory_order_relaxed, memory_order_relaxed))
            return wake_ns;
    }
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        struct p *p = &tu__sched.procs[i];
        int64_t next_ns = next_of(p);
        if (p != self && next_ns < wake_ns - WATCH_NS && !sleeps(p))
            wake_ns = next_ns + WATCH_NS;
    }
    return wake_ns;
}

void tu__timers_rescue(struct p *p, int64_t now_ns)
{
    if (next_of(p) > now_ns - LATE_NS)
        return;
    if (atomic_load_explicit(&tu__sched.idle_count, memory_order_relaxed) > 0)
        tu__wake_one();
    else
        (void)tu__timers_run(p, now_ns);
}
