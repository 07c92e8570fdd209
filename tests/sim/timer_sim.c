/* timer_sim.c - timers: never early, once a start, not after a stop that says so, not missed. */
#include "sim/sim_kit.h"

#include "platform/thread.h"
#include "runtime/time/timer.h"

enum { TIMERS = 6 };

static struct tu_wait_group parties;

/* ---- sleeping ---- */

static void sleep_some(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        int64_t wanted_ns = random_between_ns(0, 4 * TU_MS), began_ns = tu_now();
        EXPECT(tu_sleep(wanted_ns) == 0, "");
        EXPECT(tu_now() - began_ns >= wanted_ns, "%lld ns early",
               (long long)(wanted_ns - (tu_now() - began_ns)));
    }
    tu_wait_group_done(&parties);
}

SCENARIO(timer, sleeps)
{
    unsigned n = 1 + random_below(8);
    tu_wait_group_add(&parties, (int)n);
    for (unsigned i = 0; i < n; i++)
        EXPECT(tu_go(sleep_some, 1 + random_below(4)) == 0, "");
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
}

static tu_context *ending;

static void sleep_until_ended(void)
{
    tu_in_context(ending) {
        for (;;) {
            int rc = tu_sleep(random_between_ns(0, 10 * TU_MS));
            if (rc == 0)
                continue;
            EXPECT(rc == -ECANCELED && tu_context_error(ending) == -ECANCELED, "%d", rc);
            break;
        }
    }
    tu_wait_group_done(&parties);
}

SCENARIO(timer, sleeps_that_are_cancelled)
{
    unsigned n = 1 + random_below(6);
    ending = tu_with_cancel(NULL);
    tu_wait_group_add(&parties, (int)n);
    for (unsigned i = 0; i < n; i++)
        EXPECT(tu_go(sleep_until_ended) == 0, "");
    EXPECT(tu_sleep(random_between_ns(0, 12 * TU_MS)) == 0, "");
    tu_context_cancel(ending, -ECANCELED);
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    tu_context_release(ending);
}

/* ---- start and stop ---- */

static struct probe {
    struct tu__timer timer; /* first */
    int64_t when_ns;
    int starts, fires, stops; /* stops that said: will not fire */
    bool inside;              /* fire runs */
    int again;                /* fire starts it again so many times */
} probes[TIMERS];

static void fire(struct tu__timer *timer, void *arg)
{
    struct probe *p = arg;
    EXPECT(!p->inside, "fires twice at once");
    p->inside = true;
    EXPECT(tu_now() >= p->when_ns, "fires %lld ns early", (long long)(p->when_ns - tu_now()));
    p->fires++;
    sim_point("inside fire", p);
    p->inside = false;
    if (p->again > 0) {
        p->again--;
        p->starts++;
        p->when_ns = tu_now() + random_between_ns(0, TU_MS);
        tu__timer_start(timer, p->when_ns, fire, p);
    }
}

/* One owner a timer; it fires on whatever thread looks at its heap. */
static void start_and_stop(unsigned index, unsigned rounds)
{
    struct probe *p = &probes[index];
    for (unsigned i = 0; i < rounds; i++) {
        p->starts++;
        p->when_ns = tu_now() + random_between_ns(0, 2 * TU_MS);
        tu__timer_start(&p->timer, p->when_ns, fire, p);
        switch (random_below(4)) {
        case 0: EXPECT(tu_sleep(random_between_ns(0, 3 * TU_MS)) == 0, ""); break;
        case 1: thread_sleep_ns(random_between_ns(0, 3 * TU_MS)); break; /* holds its P meanwhile */
        case 2: tu_yield(); break;
        default: break;
        }
        if (tu__timer_stop(&p->timer))
            p->stops++;
        EXPECT(!p->inside, "fire runs after tu__timer_stop");
        EXPECT(p->starts == p->fires + p->stops, "%d starts, %d fires, %d stops", p->starts,
               p->fires, p->stops);
    }
    tu_wait_group_done(&parties);
}

static void foreign_start_and_stop(void *arg)
{
    start_and_stop((unsigned)(uintptr_t)arg, 2);
}

SCENARIO(timer, start_and_stop)
{
    unsigned n = 1 + random_below(TIMERS);
    tu_wait_group_add(&parties, (int)n);
    for (unsigned i = 0; i < n; i++) {
        if (random_below(4) == 0)
            foreign_thread(foreign_start_and_stop, (void *)(uintptr_t)i);
        else
            EXPECT(tu_go(start_and_stop, i, 1 + random_below(5)) == 0, "");
    }
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
}

/* Nobody stops them: each fires as often as it is started, also those that start themselves again. */
SCENARIO(timer, none_is_missed)
{
    for (unsigned i = 0; i < TIMERS; i++) {
        struct probe *p = &probes[i];
        p->again = (int)random_below(4);
        p->starts++;
        p->when_ns = tu_now() + random_between_ns(0, 3 * TU_MS);
        tu__timer_start(&p->timer, p->when_ns, fire, p);
        if (random_below(3) == 0)
            tu_yield();
    }
    for (unsigned i = 0; i < TIMERS; i++)
        while (probes[i].again > 0 || probes[i].starts != probes[i].fires)
            EXPECT(tu_sleep(TU_MS) == 0, "");
    EXPECT(tu_sleep(5 * TU_MS) == 0, "");
    for (unsigned i = 0; i < TIMERS; i++)
        EXPECT(probes[i].starts == probes[i].fires, "%d starts, %d fires", probes[i].starts,
               probes[i].fires);
}

/* ---- deadlines beside a goroutine that holds its P ---- */

static void hog(int64_t length_ns)
{
    int64_t until_ns = tu_now() + length_ns;
    while (tu_now() < until_ns)
        sim_compute((int64_t)random_below(50000));
    tu_wait_group_done(&parties);
}

SCENARIO(timer, beside_hogs)
{
    unsigned n = 1 + random_below(4), hogs = 1 + random_below(sim_plan()->procs);
    tu_wait_group_add(&parties, (int)(n + hogs));
    for (unsigned i = 0; i < n; i++)
        EXPECT(tu_go(sleep_some, 1 + random_below(3)) == 0, "");
    for (unsigned i = 0; i < hogs; i++)
        EXPECT(tu_go(hog, random_between_ns(0, 40 * TU_MS)) == 0, "");
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
}
