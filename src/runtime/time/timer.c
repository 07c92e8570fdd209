/* timer.c - see timer.h. The heap holds pointers; each timer knows its index, so stopping removes it
 * at once and the heap never holds dead entries.
 *
 *   IDLE --start--> ARMED --due, under the heap's lock--> FIRING --fire returned--> IDLE
 *                     '--stop, under the heap's lock--> IDLE
 *   A fire that starts the timer again goes FIRING -> ARMED; the runner then leaves it alone.
 */
#include "runtime/time/timer.h"

#include "base/check.h"
#include "platform/clock.h"
#include "platform/cpu.h"
#include "platform/thread.h"
#include "runtime/sched/schedule.h"

#include <tuco/go.h>
#include <tuco/mem.h>

/* The low two bits of `state`; above them the number of starts, so that a runner whose fire started
 * the timer again, and whose successor fires already, does not end the successor's FIRING. */
enum { TIMER_IDLE, TIMER_ARMED, TIMER_FIRING, TIMER_MASK = 3, TIMER_START = 4 };

static inline uint32_t phase(const struct tu__timer *t, memory_order order)
{
    return atomic_load_explicit(&t->state, order) & TIMER_MASK;
}

static inline void set_phase(struct tu__timer *t, uint32_t next)
{
    uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
    atomic_store_explicit(&t->state, (state & ~(uint32_t)TIMER_MASK) | next, memory_order_relaxed);
}

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

static void heap_remove(struct timer_heap *h, struct tu__timer *t)
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
    publish_next(h);
}

static void heap_add(struct timer_heap *h, struct tu__timer *t)
{
    if (h->count == h->capacity) {
        uint32_t capacity = h->capacity ? h->capacity * 2 : 64;
        struct tu__timer **items = tu_realloc(h->items, capacity * sizeof *items);
        tu_check(items, "out of memory for %u timers", capacity);
        h->items = items;
        h->capacity = capacity;
    }
    h->count++;
    sift_up(h, h->count - 1, t);
    publish_next(h);
}

void tu__timer_start(struct tu__timer *t, int64_t when_ns, void (*fire)(struct tu__timer *, void *),
                     void *arg)
{
    struct m *m = tu__m();
    struct p *own = m ? tu__enter(m) : NULL;
    struct p *p = own ? own : &tu__sched.procs[0];
    tu_check(p, "a timer needs a started runtime (tu_start)");
    tu__lock(&p->timers.lock);
    tu_check(phase(t, memory_order_relaxed) != TIMER_ARMED,
             "a timer that is armed is started again");
    t->fire = fire;
    t->arg = arg;
    t->when_ns = when_ns;
    t->p = p;
    atomic_fetch_add_explicit(&t->state, TIMER_START, memory_order_relaxed);
    set_phase(t, TIMER_ARMED);
    heap_add(&p->timers, t);
    bool first = p->timers.items[0] == t;
    tu__unlock(&p->timers.lock);
    if (!own && first)
        poll_wake(&p->poll); /* its M may sleep until a later deadline */
    if (m)
        tu__exit(m);
}

bool tu__timer_stop(struct tu__timer *t)
{
    struct p *p = t->p;
    if (!p || phase(t, memory_order_acquire) == TIMER_IDLE)
        return false;
    tu__lock(&p->timers.lock);
    bool armed = phase(t, memory_order_relaxed) == TIMER_ARMED;
    if (armed) {
        heap_remove(&p->timers, t);
        set_phase(t, TIMER_IDLE);
    }
    tu__unlock(&p->timers.lock);
    /* acquire: pairs with the runner's release after fire returned */
    for (int i = 0; phase(t, memory_order_acquire) == TIMER_FIRING; i++) {
        if (i < 100)
            cpu_pause();
        else
            thread_yield();
    }
    return armed;
}

int64_t tu__timers_run(struct p *p, int64_t now_ns)
{
    struct timer_heap *h = &p->timers;
    while (atomic_load_explicit(&h->next_ns, memory_order_relaxed) <= now_ns) {
        uint32_t firing = 0;
        tu__lock(&h->lock);
        struct tu__timer *t = h->count && h->items[0]->when_ns <= now_ns ? h->items[0] : NULL;
        if (t) {
            heap_remove(h, t);
            set_phase(t, TIMER_FIRING);
            firing = atomic_load_explicit(&t->state, memory_order_relaxed);
        }
        tu__unlock(&h->lock);
        if (!t)
            break;
        t->fire(t, t->arg);
        atomic_compare_exchange_strong_explicit(&t->state, &firing,
                                                (firing & ~(uint32_t)TIMER_MASK) | TIMER_IDLE,
                                                memory_order_release, memory_order_relaxed);
    }
    return atomic_load_explicit(&h->next_ns, memory_order_relaxed);
}
