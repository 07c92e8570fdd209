/* sync_sim.c - mutex, rwmutex, wait group, once, condition: who is inside, and that nobody waits for ever. */
#include "sim/sim_kit.h"

static struct tu_mutex mutex;
static struct tu_rwmutex rwmutex;
static struct tu_wait_group parties;
static struct tu_condition condition;
static int readers_inside, writers_inside, entered;

static void start(void (*fn)(void *arg), unsigned rounds)
{
    tu_wait_group_add(&parties, 1);
    if (random_below(5) == 0)
        foreign_thread(fn, (void *)(uintptr_t)rounds);
    else
        EXPECT(tu_go(fn, (void *)(uintptr_t)rounds) == 0, "");
}

static void stay_inside(void)
{
    sim_point("inside", NULL);
    switch (random_below(6)) {
    case 0: tu_yield(); break;
    case 1: EXPECT(tu_sleep(random_between_ns(0, 3 * TU_MS)) == 0, ""); break;
    default: break;
    }
    sim_point("inside", NULL);
}

static void lock_some(void *rounds)
{
    for (uintptr_t i = 0; i < (uintptr_t)rounds; i++) {
        if (random_below(4) == 0) {
            if (!tu_mutex_try_lock(&mutex))
                continue;
        } else {
            tu_mutex_lock(&mutex);
        }
        EXPECT(writers_inside++ == 0, "two hold the mutex");
        stay_inside();
        entered++;
        writers_inside--;
        tu_mutex_unlock(&mutex);
    }
    tu_wait_group_done(&parties);
}

SCENARIO(sync, mutex)
{
    for (unsigned n = 1 + random_below(6); n > 0; n--)
        start(lock_some, 1 + random_below(8));
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    EXPECT(tu_mutex_try_lock(&mutex), "the mutex is left locked");
}

static void read_some(void *rounds)
{
    for (uintptr_t i = 0; i < (uintptr_t)rounds; i++) {
        tu_rwmutex_rlock(&rwmutex);
        readers_inside++;
        EXPECT(writers_inside == 0, "a reader beside a writer");
        stay_inside();
        EXPECT(writers_inside == 0, "a writer beside a reader");
        readers_inside--;
        tu_rwmutex_runlock(&rwmutex);
    }
    tu_wait_group_done(&parties);
}

static void write_some(void *rounds)
{
    for (uintptr_t i = 0; i < (uintptr_t)rounds; i++) {
        if (random_below(4) == 0) {
            if (!tu_rwmutex_try_lock(&rwmutex))
                continue;
        } else {
            tu_rwmutex_lock(&rwmutex);
        }
        EXPECT(writers_inside++ == 0 && readers_inside == 0, "a writer is not alone");
        stay_inside();
        EXPECT(writers_inside-- == 1 && readers_inside == 0, "a writer is not alone");
        tu_rwmutex_unlock(&rwmutex);
    }
    tu_wait_group_done(&parties);
}

SCENARIO(sync, rwmutex)
{
    for (unsigned n = 1 + random_below(4); n > 0; n--)
        start(read_some, 1 + random_below(6));
    for (unsigned n = 1 + random_below(3); n > 0; n--)
        start(write_some, 1 + random_below(4));
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
}

/* ---- wait groups: rounds, several waiters, waits that end by their context ---- */

static struct tu_wait_group group;
static int working;

static void work(void *unused)
{
    stay_inside();
    working--;
    tu_wait_group_done(&group);
    tu_wait_group_done(&parties);
}

static void await(void *unused)
{
    tu_context *ctx =
        random_below(3) ? NULL : tu_with_timeout(NULL, random_between_ns(0, 2 * TU_MS));
    tu_in_context(ctx) {
        int rc = tu_wait_group_wait(&group);
        EXPECT(rc == 0 ? working == 0 : rc == -ETIMEDOUT && ctx, "rc %d, %d at work", rc, working);
    }
    tu_context_release(ctx);
    tu_wait_group_done(&parties);
}

SCENARIO(sync, wait_group)
{
    for (unsigned rounds = 1 + random_below(3); rounds > 0; rounds--) {
        int n = 1 + (int)random_below(4);
        working = n;
        tu_wait_group_add(&group, n);
        for (int i = 0; i < n; i++)
            start(work, 0);
        for (unsigned w = random_below(3); w > 0; w--)
            start(await, 0);
        EXPECT(tu_wait_group_wait(&parties) == 0, "");
        EXPECT(working == 0 && group.state == 0, "%d at work", working);
    }
}

/* ---- condition: tokens that are made and taken ---- */

static int tokens, taken, wanted;

static void take(void *rounds)
{
    for (uintptr_t i = 0; i < (uintptr_t)rounds; i++) {
        tu_mutex_lock(&mutex);
        while (tokens == 0)
            EXPECT(tu_condition_wait(&condition, &mutex) == 0, "");
        tokens--;
        taken++;
        tu_mutex_unlock(&mutex);
    }
    tu_wait_group_done(&parties);
}

static void make(void *rounds)
{
    for (uintptr_t i = 0; i < (uintptr_t)rounds; i++) {
        tu_mutex_lock(&mutex);
        tokens++;
        bool early = random_below(2);
        if (early)
            tu_condition_signal(&condition);
        tu_mutex_unlock(&mutex);
        if (!early && random_below(4) == 0)
            tu_condition_broadcast(&condition);
        else if (!early)
            tu_condition_signal(&condition);
    }
    tu_wait_group_done(&parties);
}

SCENARIO(sync, condition)
{
    unsigned n = 1 + random_below(3), each = 1 + random_below(5);
    wanted = (int)(n * each);
    for (unsigned i = 0; i < n; i++) {
        start(take, each);
        start(make, each);
    }
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    EXPECT(taken == wanted && tokens == 0, "%d of %d taken, %d left", taken, wanted, tokens);
}

/* ---- once ---- */

static struct tu_once once;
static int runs, done_runs;

static void run_once(void *unused)
{
    runs++;
    stay_inside();
    done_runs++;
}

static void call_once(void *unused)
{
    tu_once(&once, run_once, NULL);
    EXPECT(runs == 1 && done_runs == 1, "%d runs, %d done", runs, done_runs);
    tu_wait_group_done(&parties);
}

SCENARIO(sync, once)
{
    for (unsigned n = 1 + random_below(6); n > 0; n--)
        start(call_once, 0);
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
}
