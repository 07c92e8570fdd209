/* sync_behaviour_test.c - what Go's own sync tests demand and sync_test.c does not show yet; docs/go-behaviours.md. */
#include <tuco.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/testing.h"

static void spin_ns(int64_t ns)
{
    for (int64_t end = tu_now() + ns; tu_now() < end;)
        ;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* ---- mutex ---- */

struct barging {
    struct tu_mutex mutex;
    atomic_bool stop;
    bool sleeps;
    struct tu_wait_group done;
};

static void barge(struct barging *b)
{
    while (!atomic_load(&b->stop)) {
        tu_mutex_lock(&b->mutex);
        if (b->sleeps)
            CHECK_EQ(tu_sleep(100 * TU_US), 0);
        else
            spin_ns(100 * TU_US);
        tu_mutex_unlock(&b->mutex);
    }
    tu_wait_group_done(&b->done);
}

static void fair_beside(bool sleeps)
{
    enum { ROUNDS = 30 };
    struct barging b = {.sleeps = sleeps};
    int64_t waited[ROUNDS];
    tu_wait_group_add(&b.done, 1);
    REQUIRE(tu_go(barge, &b) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(tu_sleep(100 * TU_US), 0);
        int64_t start = tu_now();
        tu_mutex_lock(&b.mutex);
        tu_mutex_unlock(&b.mutex);
        waited[i] = tu_now() - start;
    }
    atomic_store(&b.stop, true);
    CHECK_EQ(tu_wait_group_wait(&b.done), 0);
    qsort(waited, ROUNDS, sizeof waited[0], by_size);
    printf(
        "  lock beside one who %s in it and takes it again at once: median %.2f ms, worst %.2f\n",
        sleeps ? "sleeps" : "computes", (double)waited[ROUNDS / 2] / 1e6,
        (double)waited[ROUNDS - 1] / 1e6);
    CHECK(waited[ROUNDS / 2] < 20 * TU_MS);
}

/* Go: TestMutexFairness. Who takes a lock again the moment it has given it up does not keep it from a
 * goroutine that waits: after a millisecond it is handed over. */
GO_TEST(mutex, handed_over_beside_a_barging_hog)
{
    fair_beside(false);
    fair_beside(true);
}

/* ---- condition ---- */

struct stealing {
    struct tu_mutex mutex;
    struct tu_condition changed;
    atomic_int waits, first_woken;
    bool done; /* under mutex */
    struct tu_wait_group all;
};

static void first_waiter(struct stealing *s)
{
    tu_mutex_lock(&s->mutex);
    atomic_store(&s->waits, 1);
    CHECK_EQ(tu_condition_wait(&s->changed, &s->mutex), 0);
    tu_mutex_unlock(&s->mutex);
    atomic_store(&s->first_woken, 1);
    tu_wait_group_done(&s->all);
}

static void broadcast(struct stealing *s)
{
    tu_condition_broadcast(&s->changed);
    tu_wait_group_done(&s->all);
}

static void second_waiter(struct stealing *s)
{
    tu_mutex_lock(&s->mutex);
    while (!s->done)
        CHECK_EQ(tu_condition_wait(&s->changed, &s->mutex), 0);
    tu_mutex_unlock(&s->mutex);
    tu_wait_group_done(&s->all);
}

/* Go: TestCondSignalStealing. A broadcast races with a second waiter; the first, which waited before,
 * is woken in any case. */
GO_TEST(condition, broadcast_races_a_new_waiter)
{
    for (int i = 0; i < 1000; i++) {
        struct stealing s = {0};
        tu_wait_group_add(&s.all, 3);
        REQUIRE(tu_go(first_waiter, &s) == 0);
        while (!atomic_load(&s.waits))
            tu_yield();
        tu_mutex_lock(&s.mutex); /* now it is inside the wait */
        tu_mutex_unlock(&s.mutex);
        REQUIRE(tu_go(broadcast, &s) == 0);
        REQUIRE(tu_go(second_waiter, &s) == 0);
        for (int64_t until = tu_now() + 10 * TU_S; !atomic_load(&s.first_woken);) {
            REQUIRE(tu_now() < until);
            tu_yield();
        }
        tu_mutex_lock(&s.mutex);
        s.done = true;
        tu_mutex_unlock(&s.mutex);
        tu_condition_broadcast(&s.changed);
        CHECK_EQ(tu_wait_group_wait(&s.all), 0);
    }
}

struct relay {
    struct tu_mutex mutex;
    struct tu_condition changed;
    int x; /* under mutex */
    struct tu_wait_group done;
};

static void hand_on(struct relay *r, int from, bool all)
{
    tu_mutex_lock(&r->mutex);
    while (r->x != from)
        CHECK_EQ(tu_condition_wait(&r->changed, &r->mutex), 0);
    r->x = from + 1;
    if (all)
        tu_condition_broadcast(&r->changed);
    else
        tu_condition_signal(&r->changed);
    tu_mutex_unlock(&r->mutex);
    tu_wait_group_done(&r->done);
}

/* Go: TestRace, TestCondSignalGenerations: a chain of waiters, each of whom waits for the one before. */
GO_TEST(condition, relay)
{
    for (int round = 0; round < 20; round++) {
        struct relay r = {0};
        tu_wait_group_add(&r.done, 100);
        for (int i = 99; i >= 0; i--)
            REQUIRE(tu_go(hand_on, &r, i, true) == 0);
        CHECK_EQ(tu_wait_group_wait(&r.done), 0);
        CHECK_EQ(r.x, 100);
    }
    struct relay two = {0}; /* with signals: each wakes the only other one */
    tu_wait_group_add(&two.done, 2);
    REQUIRE(tu_go(hand_on, &two, 1, false) == 0);
    REQUIRE(tu_go(hand_on, &two, 0, false) == 0);
    CHECK_EQ(tu_wait_group_wait(&two.done), 0);
}

/* ---- wait group ---- */

static void add_one(atomic_int *n, struct tu_wait_group *g)
{
    atomic_fetch_add(n, 1);
    tu_wait_group_done(g);
}

/* Go: TestWaitGroupRace: what the counted ones did is seen by who has waited. */
GO_TEST(wait_group, adds_race_with_the_wait)
{
    for (int i = 0; i < 3000; i++) {
        struct tu_wait_group *g = tu_alloc_zeroed(sizeof *g);
        atomic_int n = 0;
        for (int k = 0; k < 2; k++) {
            tu_wait_group_add(g, 1);
            REQUIRE(tu_go(add_one, &n, g) == 0);
        }
        CHECK_EQ(tu_wait_group_wait(g), 0);
        CHECK_EQ(atomic_load(&n), 2);
        tu_free(g); /* and nobody touches it any more */
    }
}

struct rounds {
    struct tu_wait_group group, waiters;
    atomic_int woken;
};

static void wait_then_begin_anew(struct rounds *r)
{
    CHECK_EQ(tu_wait_group_wait(&r->group), 0);
    if (atomic_fetch_add(&r->woken, 1) == 0)
        tu_wait_group_add(&r->group, 1); /* the first to return begins the next round */
    tu_wait_group_done(&r->waiters);
}

/* Go panics here (TestWaitGroupMisuse2, 3: reused before the previous wait has returned). We allow it: those
 * who waited for a round are let go together, whatever the first of them does then. */
GO_TEST(wait_group, reused_while_waiters_return)
{
    for (int i = 0; i < 500; i++) {
        struct rounds r = {0};
        tu_wait_group_add(&r.group, 1);
        tu_wait_group_add(&r.waiters, 6);
        for (int k = 0; k < 6; k++)
            REQUIRE(tu_go(wait_then_begin_anew, &r) == 0);
        while ((uint32_t)__atomic_load_n(&r.group.state, __ATOMIC_RELAXED) < 6) /* waiters */
            tu_yield();
        tu_wait_group_done(&r.group);
        CHECK_EQ(tu_wait_group_wait(&r.waiters), 0);
        CHECK_EQ(atomic_load(&r.woken), 6);
        tu_wait_group_done(&r.group);
        CHECK_EQ(tu_wait_group_wait(&r.group), 0);
    }
}

/* ---- read-write mutex ---- */

struct mixed {
    struct tu_rwmutex mutex;
    atomic_int activity;
    struct tu_wait_group done;
};

static void reader(struct mixed *m, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        tu_rwmutex_rlock(&m->mutex);
        int n = atomic_fetch_add(&m->activity, 1) + 1;
        CHECK(n >= 1 && n < 10000);
        if (i % 32 == 0)
            tu_yield();
        atomic_fetch_sub(&m->activity, 1);
        tu_rwmutex_runlock(&m->mutex);
    }
    tu_wait_group_done(&m->done);
}

static void writer(struct mixed *m, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        tu_rwmutex_lock(&m->mutex);
        CHECK_EQ(atomic_fetch_add(&m->activity, 10000), 0);
        if (i % 32 == 0)
            tu_yield();
        atomic_fetch_sub(&m->activity, 10000);
        tu_rwmutex_unlock(&m->mutex);
    }
    tu_wait_group_done(&m->done);
}

/* Go: TestRWMutex (HammerRWMutex), with many shares of readers and writers. */
GO_TEST(rwmutex, hammer)
{
    static const int readers[] = {1, 3, 10, 50};
    for (size_t i = 0; i < 4; i++)
        for (int writers = 1; writers <= 2; writers++) {
            struct mixed m = {0};
            tu_wait_group_add(&m.done, readers[i] + writers);
            for (int k = 0; k < writers; k++)
                REQUIRE(tu_go(writer, &m, 300) == 0);
            for (int k = 0; k < readers[i]; k++)
                REQUIRE(tu_go(reader, &m, 300) == 0);
            CHECK_EQ(tu_wait_group_wait(&m.done), 0);
            CHECK_EQ(atomic_load(&m.activity), 0);
        }
}

static void read_again(struct mixed *m, atomic_bool *stop)
{
    while (!atomic_load(stop)) {
        tu_rwmutex_rlock(&m->mutex);
        spin_ns(20 * TU_US);
        tu_rwmutex_runlock(&m->mutex);
        tu_yield();
    }
    tu_wait_group_done(&m->done);
}

/* A writer is not starved by readers of whom one is always inside, nor they by writers. */
GO_TEST(rwmutex, writer_is_not_starved)
{
    struct mixed m = {0};
    atomic_bool stop = false;
    tu_wait_group_add(&m.done, 8);
    for (int i = 0; i < 8; i++)
        REQUIRE(tu_go(read_again, &m, &stop) == 0);
    for (int i = 0; i < 100; i++) {
        tu_rwmutex_lock(&m.mutex);
        tu_rwmutex_unlock(&m.mutex);
        tu_yield();
    }
    atomic_store(&stop, true);
    CHECK_EQ(tu_wait_group_wait(&m.done), 0);
}

/* ---- once ---- */

static void never(void *arg)
{
    (void)arg;
    test_fail(__FILE__, __LINE__, "a second function runs");
}

static void bump(void *arg)
{
    ++*(int *)arg;
}

struct nested {
    struct tu_once outer, inner;
    int count;
};

static void run_inner(void *arg)
{
    struct nested *n = arg;
    tu_once(&n->inner, bump, &n->count);
    tu_once(&n->inner, never, NULL);
}

/* Go: TestOnce: the first function counts, whichever comes later; one once may run inside another. */
GO_TEST(once, first_function_counts)
{
    struct nested n = {0};
    tu_once(&n.outer, run_inner, &n);
    tu_once(&n.outer, never, NULL);
    tu_once(&n.inner, never, NULL);
    CHECK_EQ(n.count, 1);
}
