/* sim_oracle.c - see sim_oracle.h. */
#include "sim/sim_oracle.h"

#include "platform/thread.h"
#include "runtime/sched/schedule.h"
#include "runtime/time/timer.h"
#include "sim/simulator.h"

#include <stdio.h>

/* Read without points: nobody runs, or nobody will any more. */
#define PEEK(x) (*(volatile __typeof__(x) *)&(x))

static unsigned ready_count(const struct p *p)
{
    return PEEK(p->queue.tail) - PEEK(p->queue.head) + (PEEK(p->queue.runnext) != NULL) +
           p->fresh_count;
}

void oracle_describe(void)
{
    fprintf(stderr, "  %d Ps asleep by the counter, %d spinning, %u in the global queue\n",
            PEEK(tu__sched.idle_count), PEEK(tu__sched.spinning), PEEK(tu__sched.global_count));
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        const struct p *p = &tu__sched.procs[i];
        fprintf(stderr, "  P %u: %s, ready %u (runnext %p, fresh %u), tick %u, M %p\n", i,
                PEEK(p->asleep) ? "asleep" : "awake", ready_count(p),
                (void *)PEEK(p->queue.runnext), p->fresh_count, PEEK(p->tick), (void *)PEEK(p->m));
    }
}

/* Nobody can run, so nobody is inside a heap: it is in order, and its P does
 * not sleep for longer than to the first. */
static void timers_are_in_order(const struct p *p)
{
    const struct timer_heap *h = &p->timers;
    int64_t first_ns = h->count ? h->items[0]->when_ns : INT64_MAX;
    for (uint32_t i = 1; i < h->count; i++)
        if (h->items[i]->when_ns < h->items[(i - 1) / 4]->when_ns)
            sim_finding("P %u: timer %u comes before its parent", p->index, i);
    int64_t last_ns = INT64_MIN;
    for (uint32_t i = 0; i < h->count; i++)
        last_ns = h->items[i]->when_ns > last_ns ? h->items[i]->when_ns : last_ns;
    for (const struct tu__timer *t = h->spilled; t; t = t->next)
        if (t->when_ns < last_ns || h->count < h->capacity)
            sim_finding("P %u: a timer is spilled that belongs into the heap", p->index);
    if (PEEK(h->next_ns) != first_ns)
        sim_finding("P %u: next_ns is %lld, and the first timer is due at %lld", p->index,
                    (long long)PEEK(h->next_ns), (long long)first_ns);
    if (PEEK(p->asleep) && h->count > 0 && sim_waits_for_ever(&p->poll))
        sim_finding("P %u sleeps for ever, and has %u timers", p->index, h->count);
}

/* Nobody can run. If every P sleeps in its poller then nothing may be ready: it would wait for the
 * next timer, or for the monitor, or for ever. */
void oracle_nothing_is_forgotten(void)
{
    unsigned ready = 0, asleep = 0;
    for (uint32_t i = 0; i < tu__sched.proc_count; i++) {
        asleep += PEEK(tu__sched.procs[i].asleep) != 0;
        ready += ready_count(&tu__sched.procs[i]);
        timers_are_in_order(&tu__sched.procs[i]);
    }
    if (asleep == 0 || asleep < tu__sched.proc_count)
        return;
    if (ready + PEEK(tu__sched.global_count) > 0)
        sim_finding("every P is asleep, and %u are ready, %u in the global queue", ready,
                    PEEK(tu__sched.global_count));
    if (PEEK(tu__sched.spinning) != 0)
        sim_finding("every P is asleep, and %d count as spinning", PEEK(tu__sched.spinning));
    if (PEEK(tu__sched.idle_count) != (int32_t)asleep)
        sim_finding("%u Ps are asleep, and idle_count is %d", asleep, PEEK(tu__sched.idle_count));
}

void oracle_all_came_to_rest(void)
{
    for (int i = 0; i < 200; i++) {
        thread_sleep_ns(TU_MS);
        if (tu_goroutines() == 0 && PEEK(tu__sched.idle_count) == (int32_t)tu__sched.proc_count)
            return;
    }
    if (tu_goroutines() != 0)
        sim_finding("%zu goroutines have not ended", tu_goroutines());
    sim_finding("the Ps do not fall asleep");
}
